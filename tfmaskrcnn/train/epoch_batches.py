"""The training data of each worker of a run."""

import hashlib
import json
from typing import NamedTuple, Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data import from_records
from tfmaskrcnn.data.batches.sharding import Share
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.state import training_digest


class Batches(NamedTuple):
    """The training data of one worker."""

    data: CocoData
    config: Config
    workers: Workers
    share: Optional[Share]

    def starting(self, epoch: int, step: int = 0):
        """What `fit` takes to begin at this step of this epoch."""
        dataset = from_records(self.data, self.config, True, epoch, step, share=self.share)
        return self.workers.distributed(dataset)


def check_same(workers: Workers, config: Config, data: CocoData) -> None:
    """Raise an `InputError` on all workers unless they were given the same."""
    if workers.count > 1:
        workers.check_same("their configuration", training_digest(config))
        about = [(r.image_id, r.height, r.width, r.boxes.tolist()) for r in data.records]
        digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        workers.check_same("the annotations of data.train_json", digest)
