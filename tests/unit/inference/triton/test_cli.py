import subprocess
import sys
from pathlib import Path


def test_without_an_environment_it_says_in_one_line_what_to_do(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "inference.triton", "--repository", str(tmp_path / "r"), "--grpc-port", "1"],
        env={"WHODEX_CACHE_DIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "triton: Triton's environment is not prepared: run `whodex models pull`.\n"
