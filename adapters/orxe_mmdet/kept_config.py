"""KeptConfig: the config that a model keeps, safe from what mmdet's functions write into copies of it."""

from __future__ import annotations

from copy import deepcopy

from mmengine.config import Config


class KeptConfig(Config):
    """A config whose copies share nothing with it.

    ``inference_detector`` copies a model's config and notes in the copy that images come as arrays. mmengine's copies
    share all but the first level, so that the next path would be taken for an array too.
    """

    @classmethod
    def of(cls, cfg: Config) -> KeptConfig:
        """The same config: what is written into either, both have."""
        kept = cls.__new__(cls)
        kept.__dict__.update(cfg.__dict__)
        return kept

    def __copy__(self) -> KeptConfig:
        return deepcopy(self)

    copy = __copy__
