"""Sequence parameter sets of H.264 (ITU-T H.264 7.3.2.1) that claim a size."""

from __future__ import annotations

MACROBLOCK_PX = 16


def sequence_parameter_set(width: int, height: int, reference_frames: int = 16) -> bytes:
    """A NAL unit of the baseline profile, level 6.2, for frames of whole macroblocks."""
    bits = f"{66:08b}{0:08b}{62:08b}"
    values = (0, 0, 2, reference_frames)  # id, log2_max_frame_num_minus4, pic_order_cnt_type, max_num_ref_frames
    bits += "".join(map(_exponential_golomb, values)) + "0"
    bits += _exponential_golomb(width // MACROBLOCK_PX - 1) + _exponential_golomb(height // MACROBLOCK_PX - 1)
    bits += "11001"  # frames only, 8x8 inference, no cropping, no VUI; the stop bit
    bits += "0" * (-len(bits) % 8)
    return b"\x67" + _escaped(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _exponential_golomb(value: int) -> str:
    binary = f"{value + 1:b}"
    return "0" * (len(binary) - 1) + binary


def _escaped(payload: bytes) -> bytes:
    """With the emulation prevention bytes of 7.4.1."""
    escaped = bytearray()
    for byte in payload:
        if len(escaped) >= 2 and escaped[-2:] == b"\0\0" and byte <= 3:
            escaped.append(3)
        escaped.append(byte)
    return bytes(escaped)
