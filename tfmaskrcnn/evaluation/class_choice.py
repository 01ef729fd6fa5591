"""Which categories of a file are judged, and which classes of the model they are."""

from typing import NamedTuple, Optional, Sequence, Tuple

from tfmaskrcnn.data.coco.data_classes import ClassesLike, DataClasses
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile
from tfmaskrcnn.support.suggestions import did_you_mean


class ClassChoice(NamedTuple):
    """Pairs (class of the model, category of the file); none stands for all, by equal names.

    Several classes may be one category.
    """

    pairs: Tuple[Tuple[str, str], ...] = ()
    # Judge the rest where the model does not know some categories, instead of refusing.
    leave_out_unknown: bool = False

    @classmethod
    def of(cls, words: Sequence[str], leave_out_unknown: bool = False) -> "ClassChoice":
        """What `--classes person car=vehicle` means.

        Raises:
            InputError: a word is not as it should be, or a class is to be two categories.
        """
        pairs = [word.partition("=") for word in words]
        for own, equal, other in pairs:
            if not own or (equal and not other):
                text = f"classes: {own + equal + other!r} is neither a name nor CLASS=CATEGORY."
                raise InputError(text)
        pairs = tuple(dict.fromkeys((own, other or own) for own, _, other in pairs))
        category_of = dict(pairs)
        for own, category in pairs:
            if category_of[own] != category:
                both = f"{category!r} and {category_of[own]!r}"
                raise InputError(f"classes: the class {own!r} cannot be {both} at once.")
        return cls(pairs, leave_out_unknown)

    def restrict(self, truth: GroundTruthFile) -> None:
        """Leave the categories that are not chosen out of `truth`.

        Raises:
            InputError: it has no such category.
        """
        if self.pairs:
            chosen = [category for _, category in self.pairs]
            _check(chosen, truth.class_names, f"{truth.path} has no category")
            truth.keep(chosen)

    def ids(
        self, names: Sequence[str], truth: GroundTruthFile
    ) -> Tuple[Tuple[Optional[int], ...], Tuple[str, ...]]:
        """The category id of each class, None where it has none; and what is left out of `truth`.

        Args:
            names: of the model's classes; empty if it has none: then they are the file's
                categories in the order of their ids.
            truth: what `restrict` has left.

        Raises:
            InputError: the model does not know a class that is chosen, or a category.
        """
        names = tuple(names) or truth.all_class_names
        if self.pairs:
            _check([own for own, _ in self.pairs], names, "The model has no class")
            category_of, unknown = dict(self.pairs), ()
        else:
            category_of = {name: name for name in names}
            unknown = tuple(name for name in truth.class_names if name not in category_of)
        if unknown and (not self.leave_out_unknown or len(unknown) == len(truth.class_names)):
            raise InputError(
                f"The model does not know the categories of {truth.path}: {short(unknown)}. "
                f"Model: {short(names)}; file, by category id: {short(truth.class_names)}."
            )
        if unknown:
            truth.keep([name for name in truth.class_names if name not in unknown])
        by_name = dict(zip(truth.class_names, truth.category_ids))
        return tuple(by_name.get(category_of.get(name)) for name in names), unknown


def judged(
    json_path: str,
    words: Sequence[str],
    class_names: Sequence[str],
    data_classes: ClassesLike = None,
) -> Tuple[str, ...]:
    """Names of the categories of a file that a report on a model is of.

    Args:
        json_path: COCO annotations.
        words: of `ClassChoice.of`.
        class_names: of the model; none if it has none.
        data_classes: of `EvaluationOptions`.

    Raises:
        InputError: see `ClassChoice`.
    """
    truth = GroundTruthFile(json_path, classes=DataClasses.of(data_classes, complete=False))
    choice = ClassChoice.of(words, leave_out_unknown=True)
    choice.restrict(truth)
    choice.ids(class_names, truth)
    return truth.class_names


def short(names: Sequence[str]) -> str:
    """The first ten, and how many there are."""
    return ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")


def _check(chosen: Sequence[str], known: Sequence[str], text: str) -> None:
    for name in chosen:
        if name not in known:
            hint = did_you_mean(name, known) or f"it has {short(known)}."
            raise InputError(f"{text} {name!r}; {hint}")
