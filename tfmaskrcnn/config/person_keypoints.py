"""The 17 keypoints that COCO annotates on persons; the defaults of the keypoint head."""

NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
# Lines that a picture shows, by 0-based index (COCO's file counts from 1).
SKELETON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12)),  # legs and hip
    *((5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),  # trunk and arms
    *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),  # head
)
# How far annotators' clicks scatter, as a share of the square root of the object's area: the
# falloff of each keypoint in OKS (cocodataset.org, keypoint evaluation).
SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035),
    *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
OTHER_SIGMA = 0.05  # of keypoints that nobody has measured


def mirror_pairs(names):
    """Pairs of 0-based indices of names that differ by "left" and "right" alone."""
    index = {name.lower(): i for i, name in enumerate(names)}
    pairs = ((i, index.get(name.replace("left", "right"))) for name, i in index.items())
    return tuple((i, j) for i, j in pairs if j is not None and j != i)
