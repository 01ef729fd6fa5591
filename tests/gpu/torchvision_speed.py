"""The same work by torchvision's Mask R-CNN, if it is installed."""

import importlib.util
from typing import List

from gpu.rows import Row, Size


def installed() -> bool:
    """Whether there is a torchvision to compare with."""
    return all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))


def predicting(size: Size, count: int) -> List[Row]:
    """A row of images a second."""
    return _row("predict", size, count)


def training(size: Size, count: int) -> List[Row]:
    """A row of images a second, of forward, backward and update."""
    return _row("train", size, count)


def _row(what: str, size: Size, count: int) -> List[Row]:
    name = f"{what}, batch {count}: torchvision's images a second"
    if not installed():
        return [Row(name, note="torchvision is not installed")]
    if size.miniature:
        return [Row(name, note="not in miniature")]
    return [Row(name, _measured(what, size, count))]


def _measured(what: str, size: Size, count: int) -> float:
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    from gpu.speed import images_a_second

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sides = {"min_size": size.sides[0], "max_size": size.sides[1]}
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **sides).to(device)
    images = [torch.rand(3, *size.sides, device=device) for _ in range(count)]
    if what == "train":
        call = _step(model.train(), images, [_target(size, device) for _ in images])
    else:
        model.eval()

        def call():
            with torch.no_grad():
                return [found["scores"].cpu() for found in model(images)]

    return images_a_second(call, count, size)


def _step(model, images, targets):
    import torch

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9)

    def step():
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()  # waits for the device

    return step


def _target(size: Size, device: str):
    import torch

    height, width = size.sides
    corners = torch.tensor([[0.1, 0.1, 0.4, 0.5], [0.5, 0.4, 0.9, 0.8], [0.2, 0.6, 0.5, 0.9]])
    boxes = corners * torch.tensor([width, height, width, height])  # xyxy
    masks = torch.zeros(len(boxes), height, width, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = 1
    labels = torch.ones(len(boxes), dtype=torch.int64)
    target = {"boxes": boxes, "labels": labels, "masks": masks}
    return {name: value.to(device) for name, value in target.items()}
