"""Serve the cascade of `make demo` and ask it: python serve_and_ask.py [FOLDER] [IMAGES...]"""

import base64
import subprocess
import sys
import time
from pathlib import Path

import httpx

PORT = 8078


def wait_for(server: httpx.Client, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Return once the server has loaded its experts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if server.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server did not start")


def main(folder: str = "runs/digits", *images: str) -> None:
    files = images or tuple(map(str, sorted(Path(folder).glob("digits/*/*.png"))[::100]))
    content = {"images": [base64.b64encode(Path(file).read_bytes()).decode() for file in files]}
    command = [sys.executable, "-m", "orxe_plugins", "serve", folder, "--port", str(PORT), "--device", "cpu"]
    with subprocess.Popen(command) as process, httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as server:
        try:
            wait_for(server, process)
            reply = server.post("/predict", json=content).raise_for_status().json()
        finally:
            process.terminate()
    for file, answer in zip(files, reply["answers"], strict=True):
        print(f"{file}: {answer['name']} by {answer['expert']}, {answer['cost']:.2g} {answer['cost_unit']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
