"""`data/checking/check_result.py`: the tables."""


def lines_of(result):
    return [" ".join(line.split()) for line in result.table().splitlines()]


def test_classes_and_sizes_are_counted_in_tables(draft):
    draft.coco["categories"].append({"id": 6, "name": "fig"})
    for k in range(6):
        draft.object(1, (5 + 20 * k, 60, 10, 10), category_id=6)
    lines = lines_of(draft.check("model.num_classes=2"))
    assert f"nut {30 * '#'} 12 66.7%" in lines and f"fig {15 * '#'} 6 33.3%" in lines
    assert f"8 to 16 {15 * '#'} 6 33.3%" in lines and f"16 to 32 {30 * '#'} 12 66.7%" in lines
    assert "objects an image 6 9 12" in lines


def test_many_classes_are_cut_off_with_their_sum(draft):
    draft.coco["categories"] += [{"id": 6 + k, "name": f"class {k}"} for k in range(30)]
    draft.object(1, (60, 70, 20, 20), category_id=30)
    result = draft.check("model.num_classes=31")
    lines = lines_of(result)
    assert any(line.startswith("11 more 0") for line in lines)
    assert any(line.startswith("odd 29 classes without objects") for line in lines)


def test_findings_are_counted_the_worst_first(draft):
    draft.image()
    for _ in range(2):
        draft.object(1, (60, 70, 20, 20), area=3)
        draft.object(2, (60, 70, 0, 20))
    result = draft.check()
    assert list(result.by_rule) == ["mask-area", "area", "duplicate-object", "empty"]
    assert [len(found) for found in result.by_rule.values()] == [2, 2, 1, 1]
    assert result.num_errors == 2 and "2 things are wrong" in result.table()
