"""The rules one after the other, each on what those before have chosen."""

from typing import Iterator, List, NamedTuple, Sequence, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import is_set, override
from tfmaskrcnn.data.checking.setting_proposals import Proposal, shown
from tfmaskrcnn.train.auto import budget_rules, input_rules, object_rules
from tfmaskrcnn.train.auto.facts import Facts, Machine

# Keys that a rule chooses -> the rule. Later rules read what earlier ones, or a person, have set.
RULES = (
    (("input.min_side", "input.max_side", "input.enlarge_only"), input_rules.input_sides),
    (("input.stretch_contrast", "input.invert_bright"), input_rules.contrast),
    (("data.augment.crop",), input_rules.crop),
    (("anchors.sizes",), object_rules.anchor_sizes),
    (("anchors.ratios",), object_rules.anchor_ratios),
    (("roi.canonical_size",), object_rules.canonical_size),
    (
        ("data.max_instances", "box_head.max_detections", "evaluation.max_detections"),
        object_rules.limits,
    ),
    (
        ("rpn.post_nms_top_k_training", "rpn.pre_nms_top_k_training", "rpn.post_nms_top_k"),
        object_rules.proposals_kept,
    ),
    (("box_head.samples_per_image",), object_rules.roi_samples),
    (("train.batch_size",), budget_rules.batch_size),
    (("train.epochs",), budget_rules.epochs),
    (("train.learning_rate", "train.schedule.warmup_steps"), budget_rules.learning_rate),
    (("train.evaluate_every",), budget_rules.evaluations),
)
KEYS: Tuple[str, ...] = tuple(key for keys, _ in RULES for key in keys)


class Choice(NamedTuple):
    """What a rule says of a setting, and whether it counts."""

    proposal: Proposal
    kept: bool  # it was set, so it stays as it was

    def line(self) -> str:
        """For a person: the setting and why."""
        p = self.proposal
        if not self.kept:
            return f"{p.setting():<44} {p.reason}"
        rule = "as by the rule" if p.value == p.before else f"the rule says {shown(p.value)}"
        return f"{p.key + '=' + shown(p.before):<44} as set; {rule}: {p.reason}"


def choices(facts: Facts, config: Config, machine: Machine) -> List[Choice]:
    """What the rules choose for `config`, in their order; nothing for what they do not know."""
    found: List[Choice] = []
    for _, rule in RULES:
        made = [Choice(p, is_set(config, p.key)) for p in rule(facts, config, machine)]
        config = override(config, settings_of(made))
        found += made
    return found


def settings_of(made: Sequence[Choice]) -> List[str]:
    """The settings that are not as a person has set them, as `--set` takes them."""
    return [choice.proposal.setting() for choice in made if not choice.kept]


def open_keys(config: Config) -> Iterator[str]:
    """Keys that a rule would choose, and nobody has set."""
    return (key for key in KEYS if not is_set(config, key))
