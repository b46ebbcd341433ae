from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision import transforms

from orxe_plugins import OrxeError
from orxe_plugins.data.resample import fit_span, resample
from orxe_plugins.data.views import ImageView, centre_crop, widest_view

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def smooth_image(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture without fine detail, so that what resizing does to positions shows, not what it does to noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@st.composite
def views(draw: st.DrawFn, interpolations: tuple[str, ...] = ("bilinear", "bicubic")) -> ImageView:
    side = draw(st.integers(24, 72))
    share = draw(st.sampled_from([0.8, 0.875, 0.9, 0.95, 1.0]))
    return ImageView((side, side), int(side / share), interpolation=draw(st.sampled_from(interpolations)), **HALF)


IMAGE_SIZES = st.tuples(st.integers(70, 220), st.integers(70, 220))


@settings(max_examples=40)
@given(view=views(("nearest", "bilinear", "bicubic", "lanczos")), size=IMAGE_SIZES)
def test_a_view_of_an_original_is_torchvisions_transform_to_the_bit(view: ImageView, size: tuple[int, int]) -> None:
    image = smooth_image(*size)
    transform = transforms.Compose(
        [
            transforms.Resize(view.resize, interpolation=transforms.InterpolationMode(view.interpolation)),
            transforms.CenterCrop(view.size),
            transforms.ToTensor(),
            transforms.Normalize(view.mean, view.std),
        ]
    )
    assert torch.equal(view.from_image(image), transform(image))


@settings(max_examples=40)
@given(pool=st.lists(views(), min_size=1, max_size=4), size=IMAGE_SIZES)
def test_a_derived_view_is_near_the_experts_own(pool: list[ImageView], size: tuple[int, int]) -> None:
    image = smooth_image(*size)
    shared = widest_view(pool)
    batch = shared.from_images([image])
    for view in pool:
        own = view.from_images([image])
        derived = view.from_tensor(batch, shared)
        assert derived.shape == own.shape
        # What cannot come back is on which side of half a pixel each crop was rounded, in either direction.
        one_pixel = own.diff(dim=2).abs().mean() + own.diff(dim=3).abs().mean()
        assert (derived - own).abs().mean() < 0.8 * one_pixel + 0.02
        if view.same_pixels(shared):
            torch.testing.assert_close(derived, own)


@settings(max_examples=40)
@given(pool=st.lists(views(), min_size=1, max_size=5))
def test_the_shared_view_shows_all_that_every_expert_sees(pool: list[ImageView]) -> None:
    shared = widest_view(pool)
    assert shared.resize == max(view.resize for view in pool)
    # The least share of the picture that a crop can be rounded by is a pixel on either side.
    assert shared.field_of_view >= max(view.field_of_view for view in pool) - 1e-6
    assert (shared.resize - shared.size[0]) % 2 == 0 or all(view.same_pixels(pool[0]) for view in pool)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "resize"), [(224, 256), (192, 219), (160, 182), (128, 146), (128, 128)])
def test_a_derived_view_shows_the_same_part_of_the_image(side: int, resize: int, interpolation: str) -> None:
    """A ramp from left to right: the brightness of a pixel says which part of the image it shows."""
    ramp = np.repeat(np.linspace(0, 255, 320)[None, :, None], 320, axis=0).repeat(3, axis=2)
    image = Image.fromarray(ramp.round().astype(np.uint8))
    shared = ImageView((260, 260), 260, interpolation="bicubic", **HALF)
    view = ImageView((side, side), resize, interpolation=interpolation, **HALF)
    own = view.from_images([image])[0, 0, side // 2]
    derived = view.from_tensor(shared.from_images([image]), shared)[0, 0, side // 2]
    one_pixel = 2 / resize
    for part in (slice(2, side // 4), slice(side // 4, -side // 4), slice(-side // 4, -2)):
        assert (derived - own)[part].mean().abs() < 0.35 * one_pixel


def test_a_mean_grey_stays_itself_in_any_normalisation() -> None:
    shared = ImageView((64, 64), 64, mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.3))
    view = ImageView((32, 32), 40, mean=(0.5,) * 3, std=(0.25,) * 3)
    image = Image.new("RGB", (90, 70), (51, 102, 204))
    torch.testing.assert_close(
        view.from_tensor(shared.from_images([image]), shared), view.from_images([image]), atol=1e-5, rtol=0
    )


def test_the_same_view_hands_the_batch_through() -> None:
    view = ImageView((32, 32), 36)
    batch = torch.randn(2, 3, 32, 32)
    assert view.from_tensor(batch, view) is batch


def test_a_batch_of_another_size_than_its_view_says_is_taken_as_resized() -> None:
    shared, view = ImageView((64, 64), 72, **HALF), ImageView((32, 32), 36, **HALF)
    image = smooth_image(200, 200)
    larger = ImageView((128, 128), 144, **HALF).from_images([image])
    derived = view.from_tensor(larger, shared)
    assert (derived - view.from_images([image])).abs().mean() < 0.03


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_of_the_batch_stays(dtype: torch.dtype) -> None:
    shared, view = ImageView((40, 40), 40), ImageView((24, 24), 27)
    derived = view.from_tensor(torch.rand(1, 3, 40, 40, dtype=dtype), shared)
    assert derived.dtype == dtype and derived.isfinite().all()


def test_a_narrower_batch_is_stretched_where_nothing_else_is_there() -> None:
    shared, view = ImageView((32, 32), 64), ImageView((32, 32), 32)
    assert view.from_tensor(torch.rand(1, 3, 32, 32), shared).shape == (1, 3, 32, 32)


def test_an_experts_filter_shrinks_antialiased() -> None:
    shared, view = ImageView((96, 96), 96, **HALF), ImageView((24, 24), 24, **HALF)
    chequers = torch.ones(1, 3, 96, 96)
    chequers[..., ::2, ::2] = chequers[..., 1::2, 1::2] = -1
    assert view.from_tensor(chequers, shared)[..., 2:-2, 2:-2].abs().max() < 0.05


@given(source=st.integers(16, 400), size=st.integers(8, 300), scale=st.floats(0.25, 4), shift=st.floats(-1, 1))
def test_pixels_lie_within_a_pixel_of_where_they_should(source: int, size: int, scale: float, shift: float) -> None:
    span = fit_span(source, size, scale, shift)
    assert 0 <= span.start < span.stop <= source
    assert span.first >= 0 and span.first + span.size <= span.length
    assert span.size == size
    wanted = source / 2 + (np.array([0.5, size - 0.5]) - size / 2) * scale + shift
    if wanted[0] < 3 or wanted[1] > source - 3:
        return  # the source does not show all that is asked for, or only just
    step = (span.stop - span.start) / span.length
    there = span.start + (span.first + np.array([0.5, size - 0.5])) * step
    assert np.abs(there - wanted).max() <= 1 + abs(shift)


@given(st.integers(20, 60), st.integers(8, 20))
def test_what_is_exported_as_matrices_says_the_same(source: int, size: int) -> None:
    values = torch.rand(1, 2, source, source)
    span = fit_span(source, size, source / size, 0.0)
    expected = resample(values, span, span, "bicubic")

    class Module(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return resample(x, span, span, "bicubic")

    traced = torch.jit.trace(Module(), values)(values)
    torch.testing.assert_close(traced, expected, atol=1e-4, rtol=1e-4)


@given(height=st.integers(1, 40), width=st.integers(1, 40), h=st.integers(1, 40), w=st.integers(1, 40))
def test_a_centre_crop_is_torchvisions(height: int, width: int, h: int, w: int) -> None:
    values = torch.rand(3, height, width)
    assert torch.equal(centre_crop(values, (h, w)), transforms.functional.center_crop(values, [h, w]))


def test_grey_views_take_coloured_images() -> None:
    view = ImageView((16, 16), 16, mean=(0.5,), std=(0.5,))
    assert view.from_images([smooth_image(30, 40), np.zeros((20, 20), dtype=np.uint8)]).shape == (2, 1, 16, 16)


@given(view=views())
def test_a_view_survives_its_dictionary(view: ImageView) -> None:
    assert ImageView.from_dict(view.to_dict()) == view


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation": "cubic"}, "interpolation is 'cubic': expected one of nearest, bilinear, bicubic, lanczos"),
        ({"mean": (0.5,)}, "expected one value for each channel"),
        ({"mean": (), "std": ()}, "expected one value for each channel"),
    ],
)
def test_what_is_no_view_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        ImageView((16, 16), 16, **options)


def test_grey_and_coloured_views_share_nothing() -> None:
    with pytest.raises(OrxeError, match="different numbers of image channels"):
        widest_view([ImageView((16, 16), 16), ImageView((16, 16), 16, mean=(0.5,), std=(0.5,))])
