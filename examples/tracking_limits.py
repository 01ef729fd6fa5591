"""How long objects keep their numbers, by how fast they move: the table of docs/video.md.

    python examples/tracking_limits.py

Discs of one class bounce in a frame and hide each other; the tracker gets their visible masks, in
any order, all of them or nine of ten. Takes two minutes on one core; no model is needed.
"""

import numpy as np

from tfmaskrcnn import Instances
from tfmaskrcnn.inference import Tracker
from tfmaskrcnn.ops.paste import Window, window_rle

SIZE, RADIUS, DISCS, FRAMES, VIDEOS = (360, 480), 15, 20, 200, 3
SPEEDS = (1, 3, 6, 10, 15, 20)  # pixels a frame
LEAST = 60  # visible pixels of a disc that is found


def positions(speed, rng):
    """[DISCS, 2] centres (y, x) of each frame."""
    low, high = np.full(2, RADIUS), np.array(SIZE) - RADIUS - 1
    place, angle = rng.uniform(low, high, (DISCS, 2)), rng.uniform(0, 2 * np.pi, DISCS)
    step = speed * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    for _ in range(FRAMES):
        place = place + step
        step = np.where((place < low) | (place > high), -step, step)
        place = np.clip(place, low, high)
        yield place


def sightings(place, missed, rng):
    """`Instances` of what is visible, and which disc each of them is."""
    offset = np.arange(2 * RADIUS + 1) - RADIUS
    disc = offset[:, None] ** 2 + offset**2 <= RADIUS**2
    canvas, corners = np.full(SIZE, -1), np.round(place).astype(int) - RADIUS
    parts = [np.s_[y : y + len(disc), x : x + len(disc)] for y, x in corners]
    for i, part in enumerate(parts):
        canvas[part][disc] = i
    boxes, masks, discs = [], [], []
    for i in rng.permutation(DISCS):
        visible = canvas[parts[i]] == i
        if visible.sum() < LEAST or rng.random() < missed:
            continue
        (y, x), (rows, columns) = corners[i], np.nonzero(visible)
        boxes.append([y + rows.min(), x + columns.min(), y + rows.max() + 1, x + columns.max() + 1])
        masks.append(window_rle(Window(y, x, visible), *SIZE))
        discs.append(i)
    scores, classes = np.linspace(1, 0.5, len(discs)), np.ones(len(discs))
    found = Instances(np.array(boxes), scores, classes, SIZE, exact_rle=masks)
    return found, discs


def changes(speed, missed, seed):
    """Per cent of sightings whose number is not the disc's last one, and numbers given."""
    rng, tracker = np.random.default_rng(seed), Tracker()
    last, changed, seen = {}, 0, 0
    for place in positions(speed, rng):
        found, discs = sightings(place, missed, rng)
        for i, number in zip(discs, tracker.update(found).ids):
            changed += last.get(i, number) != number
            last[i] = number
        seen += len(discs)
    return 100 * changed / seen, tracker.count


def main():
    """Print the table."""
    for speed in SPEEDS:
        for missed in (0, 0.1):
            rows = [changes(speed, missed, seed) for seed in range(VIDEOS)]
            per_cent, numbers = np.mean(rows, axis=0)
            moved = speed / (2 * RADIUS)
            print(f"{moved:.2f} diameters a frame, {100 * missed:2.0f} % not found: ", end="")
            print(f"{per_cent:5.1f} % changed, {numbers:4.0f} numbers for {DISCS} discs")


if __name__ == "__main__":
    main()
