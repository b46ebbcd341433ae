"""The names that ``timm.create_model`` learns: ``orxe_metamodel`` and its variants.

The default pools are checkpoints of ORXE's Table B1. They are only a start: `orxe run` fits a
cascade to your own pool and data, and ``cascade=FOLDER`` loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timm.models import generate_default_cfgs, register_model

from orxe_plugins.cascade.build import CascadeArguments, CascadeLike, ExpertLike, build_cascade
from orxe_plugins.errors import OrxeError
from orxe_timm.cascade_classifier import CascadeClassifier
from orxe_timm.saved import cascade_from, folder_of, load_weights, weights_in

__all__ = ["orxe_metamodel", "orxe_metamodel_large", "orxe_metamodel_tiny"]

#: 0.06, 0.21 and 0.52 GMACs
TINY_POOL = ("mobilenetv3_small_100.lamb_in1k", "mobilenetv3_large_100.ra_in1k", "efficientvit_b1.r224_in1k")
#: 0.21, 1.3 and 4.1 GMACs
POOL = (
    "mobilenetv3_large_100.ra_in1k",
    "tiny_vit_5m_224.dist_in22k_ft_in1k",
    "tiny_vit_21m_224.dist_in22k_ft_in1k",
)
#: 1.9, 13.2 and 61.6 GMACs
LARGE_POOL = (
    "tiny_vit_11m_224.dist_in22k_ft_in1k",
    "caformer_m36.sail_in22k_ft_in1k",
    "beitv2_large_patch16_224.in1k_ft_in22k_in1k",
)

_CONFIG = {"num_classes": 1000, "input_size": (3, 224, 224), "pool_size": (7, 7), "crop_pct": 0.95,
           "interpolation": "bicubic", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # fmt: skip
default_cfgs = generate_default_cfgs({name: dict(_CONFIG) for name in __all__})


def _create(
    name: str,
    pool: Sequence[str],
    *,
    experts: Sequence[ExpertLike] | None = None,
    cascade: CascadeLike | Mapping[str, Any] | None = None,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    **options: Any,
) -> CascadeClassifier:
    """The model called ``name``, with the experts of ``pool`` where neither experts nor a cascade are given."""
    config = options.pop("pretrained_cfg", None)
    source = weights_in(config, options.pop("pretrained_cfg_overlay", None), name)
    # How the saved weights were made: the cascade's own description says it.
    saved_arguments = options.pop("pretrained_model_args", None)
    if (origin := folder_of(config)) is not None:
        # timm hands over what the folder says as if the caller had said it.
        options["origin"] = origin
        if saved_arguments is None or "trust" in saved_arguments:
            options.pop("trust", None)
    _check_options(options, num_classes)
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(cascade, Mapping):
        model = _described(cascade, num_classes, in_chans, options)
    elif cascade is not None:
        built = build_cascade(experts, cascade, adapter="timm", task="classification", **options)
        model = CascadeClassifier(built)
        _check_fits(model, cascade, num_classes, in_chans)
    else:
        # Weights of the whole cascade replace every expert's own: there is nothing to download first.
        shared = {"num_classes": num_classes, "pretrained": pretrained and source is None}
        model = _unfitted(pool if experts is None else experts, shared, {**options, "in_chans": in_chans})
    if pretrained and source is not None:
        load_weights(model, source)
    return model


def _unfitted(
    experts: Sequence[ExpertLike], shared: Mapping[str, Any], options: Mapping[str, Any]
) -> CascadeClassifier:
    """A cascade of experts; ``shared`` goes to all of them, what is no argument of a cascade to those of timm."""
    built = build_cascade(
        experts,
        adapter="timm",
        task="classification",
        for_all={key: value for key, value in shared.items() if value is not None},
        **{key: value for key, value in options.items() if value is not None},
    )
    return CascadeClassifier(built)


def _described(
    cascade: Mapping[str, Any], num_classes: int | None, in_chans: int | None, options: dict[str, Any]
) -> CascadeClassifier:
    """The cascade of a folder that timm saved, before its weights are loaded."""
    preference, given = options.pop("preference", None), CascadeArguments.from_keywords(options)
    asked = {"num_classes": num_classes, "in_chans": in_chans, **given.common}
    asked = {key: value for key, value in asked.items() if value is not None}
    model = CascadeClassifier(cascade_from(cascade, asked, preference, given.policy(), given.named_by))
    was = cascade["experts"][0].get("options", {}).get("num_classes", model.num_classes)
    if model.num_classes != was:
        model.drop_table()
    return model


def _check_options(options: dict[str, Any], num_classes: int | None) -> None:
    """Raise for what timm's models take and a cascade cannot be."""
    if options.pop("features_only", False):
        raise OrxeError(
            "a cascade has no features_only form, as its experts have different features: create one of its experts "
            "with features_only=True, or call model.forward_intermediates, which gives those of the last expert"
        )
    if options.get("global_pool") == "" and num_classes != 0:
        raise OrxeError("global_pool is '', which only a model without a classifier can do: give num_classes=0 too")


def _check_fits(model: CascadeClassifier, cascade: Any, num_classes: int | None, in_chans: int | None) -> None:
    """timm's scripts always say how many classes and channels they want; a fitted cascade has its own."""
    channels = model.pretrained_cfg["input_size"][0]
    for what, asked, own in (("num_classes", num_classes, model.num_classes), ("in_chans", in_chans, channels)):
        if asked is not None and asked != own:
            raise OrxeError(
                f"{what} is {asked}, but the fitted cascade {str(cascade)!r} has {own}: leave {what} out, "
                "or give experts=[...] to build one that is not fitted"
            )


@register_model
def orxe_metamodel(**kwargs: Any) -> CascadeClassifier:
    """A cascade of timm models, or of any experts.

    Args:
        **kwargs: any of
            ``experts``: names of timm models or addresses ``adapter:name``, cheapest first; a small pool of ORXE's
            Table B1 by default;
            ``cascade``: instead: a folder that `orxe run` wrote, whose experts' weights are always loaded;
            ``checkpoints``: a file of weights for each expert, None for its own;
            ``expert_kwargs``: options for each expert;
            ``exit_thresholds``: one for each expert but the last, in which None is "never";
            ``skip_thresholds``: likewise; a threshold of 0 skips no sample;
            ``preference``: 0 = only cost counts, 1 = only performance counts;
            ``trust``: with ``cascade=FOLDER``, whether what building its experts runs and fetches is trusted;
            ``pretrained``: whether experts without a checkpoint get pretrained weights;
            ``num_classes``, ``in_chans``, ``drop_rate``, ...: options for every expert.

    Raises:
        OrxeError: an expert is unknown, arguments contradict each other, or classes differ.
    """
    return _create("orxe_metamodel", POOL, **kwargs)


@register_model
def orxe_metamodel_tiny(**kwargs: Any) -> CascadeClassifier:
    """:func:`orxe_metamodel` with a pool of mobile models by default."""
    return _create("orxe_metamodel_tiny", TINY_POOL, **kwargs)


@register_model
def orxe_metamodel_large(**kwargs: Any) -> CascadeClassifier:
    """:func:`orxe_metamodel` with ORXE's largest expert at the end by default."""
    return _create("orxe_metamodel_large", LARGE_POOL, **kwargs)
