from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.registry import ExpertSpec, adapter_names, import_framework, load_expert, parse_address


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("timm:resnet18", ("timm", "resnet18", {})),
        ("ultralytics:yolov8n.pt?imgsz=320", ("ultralytics", "yolov8n.pt", {"imgsz": 320})),
        ("mmdet:a/b.py@c.pth?trust_checkpoint=true", ("mmdet", "a/b.py@c.pth", {"trust_checkpoint": True})),
        ("timm:hf-hub:timm/resnet18.a1_in1k", ("timm", "hf-hub:timm/resnet18.a1_in1k", {})),
        ("timm:x?input_size=[3, 32, 32]&mean=[0.5]", ("timm", "x", {"input_size": [3, 32, 32], "mean": [0.5]})),
    ],
)
def test_addresses_are_taken_apart(address: str, parsed: tuple) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize("address", ["resnet18", ":resnet18", "timm:", "timm:resnet18?imgsz", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(OrxeError, match="expert address"):
        parse_address(address)


def test_the_four_adapters_are_found() -> None:
    assert {"timm", "torchvision", "ultralytics", "mmdet"} <= set(adapter_names())


def test_an_unknown_adapter_is_named_with_the_nearest() -> None:
    with pytest.raises(OrxeError, match="unknown adapter 'tim': did you mean 'timm'"):
        load_expert("tim:resnet18")


def test_a_missing_framework_says_what_to_install() -> None:
    with pytest.raises(ImportError) as caught:
        import_framework("no_such_framework", "mmdet")
    assert str(caught.value).splitlines()[-1] == 'pip install "orxe-plugins[mmdet]"'


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(OrxeError, match=r"checkpoint 'nowhere\.safetensors' .*does not exist"):
        load_expert(ExpertSpec("timm:resnet18", checkpoint="nowhere.safetensors"))


@given(
    st.builds(
        ExpertSpec,
        address=st.just("timm:resnet18"),
        name=st.none() | st.text(min_size=1),
        checkpoint=st.none() | st.just("a.safetensors"),
        options=st.dictionaries(st.text(min_size=1), st.integers()),
        cost=st.none() | st.floats(0.1, 10),
        shared_cost=st.floats(0, 10),
        needs=st.none() | st.text(min_size=1),
    )
)
def test_a_spec_survives_its_dictionary(spec: ExpertSpec) -> None:
    assert ExpertSpec(**spec.to_dict()) == spec
