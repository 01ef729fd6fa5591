"""An encoder of Label Studio's brush strokes."""

LENGTHS = (3, 4, 8, 16)  # bits


def encoded(values, rng, bits_a_value=8):
    """The brush code of `values` [n], with repeated and literal blocks of all four lengths."""
    bits = f"{len(values):032b}{bits_a_value - 1:05b}"
    bits += "".join(f"{n - 1:04b}" for n in LENGTHS)
    place = 0
    while place < len(values):
        run = 1
        while place + run < len(values) and values[place + run] == values[place]:
            run += 1
        which = rng.integers(4)
        most = 1 << LENGTHS[which]
        if run > 2 or rng.random() < 0.2:
            count, repeats = min(run, most), 1
        else:
            count, repeats = min(int(rng.integers(1, 9)), most, len(values) - place), 0
        bits += f"{repeats}{which:02b}" + format(count - 1, f"0{LENGTHS[which]}b")
        shown = values[place : place + (1 if repeats else count)]
        bits += "".join(format(int(v), f"0{bits_a_value}b") for v in shown)
        place += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
