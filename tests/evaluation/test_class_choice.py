import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.class_choice import ClassChoice
from tfmaskrcnn.evaluation.class_choice import judged as judged_categories
from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.runner import evaluate

# The file's categories are leaf (3) and plum (7).


def predictor(coco_set, renamed=None, seed=0):
    """Finds what `noisy` makes of each image, which its pixels tell; classes may be renamed."""

    def predict(images):
        found = [coco_set.noisy(int(image[0, 0, 0]), seed) for image in images]
        for instances in found if renamed is not None else ():
            object.__setattr__(instances, "class_names", renamed)
        return found

    return predict


def judged(coco_set, renamed=None, **options):
    return evaluate(predictor(coco_set, renamed), coco_set.json_path, coco_set.image_dir, **options)


def test_chosen_categories_are_judged_as_among_all(coco_set):
    every, plums = judged(coco_set), judged(coco_set, classes=["plum"])
    assert plums.mask_ap_per_class == {"plum": every.mask_ap_per_class["plum"]}
    assert plums.masks["AP"] == pytest.approx(every.mask_ap_per_class["plum"])
    assert 0 < plums.num_objects < every.num_objects
    assert 0 < plums.num_detections < every.num_detections


def test_a_class_may_be_another_category(coco_set):
    every = judged(coco_set)
    renamed = judged(coco_set, renamed=("blatt", "plum"), classes=["blatt=leaf", "plum"])
    assert renamed == every


def test_several_classes_may_be_one_category(coco_set):
    # All leaves and plums of the model count as plums: those that are leaves are false then.
    both = judged(coco_set, classes=["leaf=plum", "plum"])
    assert list(both.mask_ap_per_class) == ["plum"]
    assert both.num_detections == judged(coco_set).num_detections


def test_categories_that_the_model_does_not_know_are_left_out_and_told(coco_set):
    known = judged(coco_set, renamed=("leaf", "stone"))
    assert known.left_out == ("plum",) and judged(coco_set).left_out == ()
    leaves = judged(coco_set, renamed=("leaf", "stone"), classes=["leaf"])
    assert (known.masks, known.num_objects) == (leaves.masks, leaves.num_objects)


def test_a_model_that_knows_none_of_them_is_refused(coco_set):
    with pytest.raises(InputError, match="does not know the categories of .*: leaf, plum. Model"):
        judged(coco_set, renamed=("a", "b"))


def test_training_still_refuses_categories_that_it_does_not_know(coco_set):
    with pytest.raises(InputError, match="does not know the categories"):
        CocoEvaluator(coco_set.json_path, class_names=("leaf", "stone"))


@pytest.mark.parametrize(
    "words, message",
    [
        (["plumm"], "has no category 'plumm'; did you mean 'plum'?"),
        (["x"], "has no category 'x'; it has leaf, plum."),
        (["birne=plum"], "The model has no class 'birne'; it has leaf, plum."),
        (["=plum"], "'=plum' is neither a name nor CLASS=CATEGORY"),
        (["plum="], "'plum=' is neither a name nor CLASS=CATEGORY"),
    ],
)
def test_wrong_choices_are_told(coco_set, words, message):
    with pytest.raises(InputError) as raised:
        judged(coco_set, classes=words)
    assert message in str(raised.value)


def test_a_model_without_names_has_the_files_categories(coco_set):
    assert judged(coco_set, renamed=(), classes=["plum"]) == judged(coco_set, classes=["plum"])


def test_words_become_pairs():
    assert ClassChoice.of(["a", "b=c d"]).pairs == (("a", "a"), ("b", "c d"))


def test_a_class_cannot_be_two_categories_and_twice_the_same_is_once():
    with pytest.raises(InputError, match="the class 'car' cannot be 'car' and 'truck' at once"):
        ClassChoice.of(["car", "car=truck"])
    assert ClassChoice.of(["car", "car=car"]).pairs == (("car", "car"),)


def test_what_will_be_judged_is_told_without_a_model(coco_set):
    path = coco_set.json_path
    assert judged_categories(path, [], []) == ("leaf", "plum")
    assert judged_categories(path, [], ["stone", "plum"]) == ("plum",)
    assert judged_categories(path, ["stone=leaf"], ["stone", "plum"]) == ("leaf",)
    with pytest.raises(InputError, match="The model has no class 'leaf'"):
        judged_categories(path, ["leaf"], ["plum"])
