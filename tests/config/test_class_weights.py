"""`box_head.class_weights`: what a person may write, and what becomes of it."""

import pytest

import tfmaskrcnn as mr
from tfmaskrcnn.config.class_weights import BALANCED, weights_by_class
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.yaml_files import override, save_config

NAMED = "model={num_classes: 2, class_names: [circle, star]}"


def weighed(text, *more):
    return mr.load_config(None, [*more, f"box_head.class_weights={text}"])


def test_names_with_numbers_become_factors_of_all_classes():
    weights = weighed("{star: 3}", NAMED).model.box_head.class_weights
    assert weights == {"star": 3.0}
    assert weights_by_class(weights, ("circle", "star")) == (1.0, 1.0, 3.0)
    assert weights_by_class({}, ("circle", "star")) is None
    assert weighed("balanced").model.box_head.class_weights == BALANCED


@pytest.mark.parametrize(
    "text, told",
    [
        ("{star: 0}", "'star' wants a number above 0, 0 is none; data.classes leaves a class out"),
        ("{star: -1}", "'star' wants a number above 0, -1 is none"),
        ("{star: .nan}", "'star' wants a number above 0, nan is none"),
        ("{star: .inf}", "'star' wants a number above 0, inf is none"),
        ("{star: true}", "'star' wants a number above 0, True is none"),
        ("{star: '3'}", "'star' wants a number above 0, '3' is none"),
        ("{star: null}", "'star' wants a number above 0, None is none"),
        ("{1: 2}", "1 is no name; put names that YAML takes for something else in quotes"),
        ("{no: 2}", "False is no name"),
        ("rare", "wanted balanced, or the names of classes with a number above 0 each"),
        ("[1, 2]", "wanted balanced, or the names"),
        ("null", "wanted balanced, or the names"),
    ],
)
def test_what_weighs_nothing_is_a_sentence(text, told):
    with pytest.raises(mr.InputError) as error:
        weighed(text)
    assert f"model.box_head.class_weights: {told}" in str(error.value)


def test_an_unknown_class_is_told_with_the_one_that_was_meant():
    with pytest.raises(mr.InputError, match="there is no class 'stars'; did you mean 'star'?"):
        weighed("{stars: 2}", NAMED)
    with pytest.raises(mr.InputError, match="no class 'dog'; the classes are circle, star"):
        weights_by_class({"dog": 2.0}, ("circle", "star"))


def test_without_names_or_data_there_are_no_numbers():
    with pytest.raises(mr.InputError, match="weighs star, but the model's classes have no names"):
        weights_by_class({"star": 2.0}, ())
    with pytest.raises(mr.InputError, match=r"is balanced, .*with_classes_of\(mr.data.load_c"):
        weights_by_class(BALANCED, ("circle", "star"))


def test_a_later_choice_takes_the_place_of_the_former():
    config = weighed("{circle: 0.5, star: 2}", NAMED)
    changed = override(config, ["box_head.class_weights={star: 3}"])
    assert changed.model.box_head.class_weights == {"star": 3.0}
    assert override(config, ["box_head.class_weights={}"]).model.box_head.class_weights == {}
    with pytest.raises(mr.InputError, match="give model.box_head.class_weights as a whole"):
        override(config, ["box_head.class_weights.star=3"])


def test_they_travel_with_the_configuration(tmp_path):
    config = weighed("{star: 2.5}", NAMED, "box_head={loss: focal, focal_gamma: 1.5}")
    save_config(config, str(tmp_path / "config.json"))
    assert mr.load_config(str(tmp_path / "config.json")) == config
    assert ModelConfig.model_validate(config.model.model_dump(mode="json")) == config.model


def test_a_gamma_without_focal_loss_is_refused():
    with pytest.raises(mr.InputError, match="focal_gamma has no effect where loss is softmax"):
        mr.load_config(None, ["box_head.focal_gamma=1"])
    for gamma in ("-1", ".nan", ".inf"):
        with pytest.raises(mr.InputError, match="focal_gamma: Input should be"):
            mr.load_config(None, [f"box_head={{loss: focal, focal_gamma: {gamma}}}"])
