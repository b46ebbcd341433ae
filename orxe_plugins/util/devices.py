"""Devices by name."""

from __future__ import annotations

import torch

from orxe_plugins.errors import OrxeError


def usable_device(name: torch.device | str) -> torch.device:
    """A device that is there.

    Raises:
        OrxeError: there is no such device, or it cannot be used.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise OrxeError(f"device {str(name)!r} cannot be used: {reason}. The processor is called cpu") from error
    return device
