"""Graph surgery: from the published ONNX bytes to what Triton serves.

Around the published network go its preprocessing, so that uint8 images travel (a quarter of the bytes of
float32), and for a detector the decoding of its best anchors, so that a few kilobytes come back and every
runtime answers the same. The parts are written in ONNX's own text format.
"""

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import compose, numpy_helper, parser

from inference.models.errors import ModelError
from inference.models.manifest import DETECTION_WIDTH, Anchors, DetectorManifest, InputSpec, Manifest

INPUT = "images_bgr"
DETECTIONS = "detections"
EMBEDDINGS = "embeddings"


def output_name(manifest: Manifest) -> str:
    """The name of the served graph's output."""
    return DETECTIONS if isinstance(manifest, DetectorManifest) else EMBEDDINGS


def prepare(manifest: Manifest, published: bytes) -> bytes:
    """Make the graph that is served.

    Args:
        manifest: the model's manifest.
        published: its ONNX bytes as they were published.

    Returns:
        ONNX bytes. The input ``images_bgr`` is uint8 (N, H, W, 3) in BGR. A detector's output ``detections``
        is float32 (N, candidates, 15), best score first: x1, y1, x2, y2, score, then x and y of five
        landmarks, in pixels; an embedder's output ``embeddings`` is float32 (N, dimension).

    Raises:
        ModelError: the published graph is not what the manifest says.
    """
    try:
        network = onnx.load_model_from_string(published)
        _free_batch_axis(network)
        served = _join(_preprocessing(manifest.input, network), network, manifest.input.tensor)
        if isinstance(manifest, DetectorManifest):
            served = _join_decoding(served, manifest.anchors)
        else:
            _rename_output(served, manifest.embedding.tensor, EMBEDDINGS)
        onnx.checker.check_model(served, full_check=True)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(f"The graph of {manifest.name} is not what its manifest says: {error}") from error
    return served.SerializeToString()


def _free_batch_axis(network: onnx.ModelProto) -> None:
    """Make the batch axis dynamic, where the network was published for a batch of one."""
    for value in (*network.graph.input, *network.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del network.graph.value_info[:]
    shapes = {node.input[1] for node in network.graph.node if node.op_type == "Reshape"}
    for tensor in network.graph.initializer:
        if tensor.name in shapes:
            tensor.CopyFrom(_copying_batch(tensor))


def _copying_batch(shape: onnx.TensorProto) -> onnx.TensorProto:
    """Let a Reshape to (1, ...) copy its input's batch axis: that is what a 0 says."""
    axes = numpy_helper.to_array(shape).copy()
    if axes[0] == 1:
        axes[0] = 0
    return numpy_helper.from_array(axes, shape.name)


def _preprocessing(spec: InputSpec, network: onnx.ModelProto) -> onnx.ModelProto:
    if spec.channel_order == "BGR":
        reversal, ordered = "", f"Identity ({INPUT})"
    else:
        reversal, ordered = "int64[3] reversal = {2, 1, 0},", f"Gather <axis = 3> ({INPUT}, reversal)"
    return _parse(
        f"""
        preprocess (uint8[N, H, W, 3] {INPUT}) => (float[N, 3, H, W] normalised, int64[4] image_shape)
        <
            {reversal}
            float[3] mean = {_braces(spec.mean)},
            float scale = {{{spec.scale}}}
        >
        {{
            image_shape = Shape ({INPUT})
            ordered = {ordered}
            pixels = Cast <to = {onnx.TensorProto.FLOAT}> (ordered)
            centred = Sub (pixels, mean)
            scaled = Div (centred, scale)
            normalised = Transpose <perm = [0, 3, 1, 2]> (scaled)
        }}
        """,
        network,
    )


def _join(preprocessing: onnx.ModelProto, network: onnx.ModelProto, tensor: str) -> onnx.ModelProto:
    network.ir_version = preprocessing.ir_version
    renamed = compose.add_prefix(network, "network/")
    outputs = [*(output.name for output in renamed.graph.output), "image_shape"]
    return compose.merge_models(preprocessing, renamed, io_map=[("normalised", f"network/{tensor}")], outputs=outputs)


def _join_decoding(served: onnx.ModelProto, anchors: Anchors) -> onnx.ModelProto:
    return compose.merge_models(
        served,
        _decoding(anchors, served),
        io_map=[
            ("image_shape", "shape"),
            (f"network/{anchors.boxes}", "box_offsets"),
            (f"network/{anchors.scores}", "class_scores"),
            (f"network/{anchors.landmarks}", "landmark_offsets"),
        ],
    )


def _decoding(anchors: Anchors, network: onnx.ModelProto) -> onnx.ModelProto:
    """Decode the best anchors of a RetinaFace network.

    The anchors of a level are a grid of cells, row by row, ``stride`` pixels apart, with two sizes at each
    cell; the levels follow one another. An anchor's place is worked out from its index, so that the graph
    holds no table and fits every image size. The formulas are those of SSD (Liu et al., 2016, section 2.2)
    with RetinaFace's landmarks: a point is the anchor's centre plus offset times variance times anchor size,
    a size is the anchor's times the exponential of offset times variance.
    """
    strides = anchors.strides_px
    levels = len(strides)
    sizes = [size for level in anchors.sizes_px for size in level]
    return _parse(
        f"""
        decode (
            int64[4] shape,
            float[N, A, 4] box_offsets, float[N, A, 2] class_scores, float[N, A, 10] landmark_offsets
        ) => (float[N, {anchors.candidates}, {DETECTION_WIDTH}] {DETECTIONS})
        <
            int64[1] candidates = {{{anchors.candidates}}},
            int64[{levels}] strides = {_braces(strides)},
            int64[{levels}] strides_less_one = {_braces([stride - 1 for stride in strides])},
            float[{levels}] strides_px = {_braces(strides)},
            float[{len(sizes)}] anchor_sizes_px = {_braces(sizes)},
            float centre_variance = {{{anchors.centre_variance}}},
            float size_variance = {{{anchors.size_variance}}},
            float half = {{0.5}},
            int64 axis_0 = {{0}}, int64 axis_height = {{1}}, int64 axis_width = {{2}},
            int64 class_face = {{1}}, int64 sizes_per_cell = {{2}},
            int64[3] times_4 = {{1, 1, 4}}, int64[3] times_5 = {{1, 1, 5}}, int64[3] times_10 = {{1, 1, 10}}
        >
        {{
            height = Gather (shape, axis_height)
            width = Gather (shape, axis_width)
            height_padded = Add (height, strides_less_one)
            width_padded = Add (width, strides_less_one)
            level_rows = Div (height_padded, strides)
            level_columns = Div (width_padded, strides)
            level_cells = Mul (level_rows, level_columns)
            level_anchors = Mul (level_cells, sizes_per_cell)
            level_ends = CumSum (level_anchors, axis_0)
            level_starts = Sub (level_ends, level_anchors)

            face_scores = Gather <axis = 2> (class_scores, class_face)
            best_scores, best = TopK <axis = 1> (face_scores, candidates)
            score = Unsqueeze <axes = [2]> (best_scores)
            index = Unsqueeze <axes = [2]> (best)

            before_end = Less (index, level_ends)
            past_end = Not (before_end)
            past_end_count = Cast <to = {onnx.TensorProto.INT64}> (past_end)
            level = ReduceSum <axes = [2], keepdims = 1> (past_end_count)
            start = Gather (level_starts, level)
            index_in_level = Sub (index, start)
            cell = Div (index_in_level, sizes_per_cell)
            size_in_cell = Mod (index_in_level, sizes_per_cell)
            columns = Gather (level_columns, level)
            row = Div (cell, columns)
            column = Mod (cell, columns)
            first_size = Mul (level, sizes_per_cell)
            size_index = Add (first_size, size_in_cell)
            anchor_size = Gather (anchor_sizes_px, size_index)
            stride = Gather (strides_px, level)
            cell_xy = Concat <axis = 2> (column, row)
            cell_xy_float = Cast <to = {onnx.TensorProto.FLOAT}> (cell_xy)
            cell_centre = Add (cell_xy_float, half)
            anchor_centre = Mul (cell_centre, stride)
            offset_px = Mul (anchor_size, centre_variance)

            box_index = Tile (index, times_4)
            box_offset = GatherElements <axis = 1> (box_offsets, box_index)
            centre_offset, size_offset = Split <axis = 2, split = [2, 2]> (box_offset)
            centre_shift = Mul (centre_offset, offset_px)
            centre = Add (anchor_centre, centre_shift)
            size_log = Mul (size_offset, size_variance)
            size_ratio = Exp (size_log)
            size = Mul (size_ratio, anchor_size)
            half_size = Mul (size, half)
            top_left = Sub (centre, half_size)
            bottom_right = Add (centre, half_size)

            landmark_index = Tile (index, times_10)
            landmark_offset = GatherElements <axis = 1> (landmark_offsets, landmark_index)
            landmark_shift = Mul (landmark_offset, offset_px)
            landmark_anchors = Tile (anchor_centre, times_5)
            landmarks = Add (landmark_anchors, landmark_shift)

            {DETECTIONS} = Concat <axis = 2> (top_left, bottom_right, score, landmarks)
        }}
        """,
        network,
    )


def _rename_output(served: onnx.ModelProto, tensor: str, name: str) -> None:
    """Give the embedder's output its name, and drop the outputs that nobody reads."""
    (output,) = (value for value in served.graph.output if value.name == f"network/{tensor}")
    served.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
    output.name = name
    for value in [value for value in served.graph.output if value.name != name]:
        served.graph.output.remove(value)


def _parse(graph: str, network: onnx.ModelProto) -> onnx.ModelProto:
    """Parse a graph's text for the operator set of the network it will be joined with."""
    opset = next(opset.version for opset in network.opset_import if not opset.domain)
    header = f'<ir_version: {max(network.ir_version, 7)}, opset_import: ["" : {opset}]>'
    return parser.parse_model(header + graph)


def _braces(values: "np.typing.ArrayLike") -> str:
    return "{" + ", ".join(str(value) for value in np.asarray(values).tolist()) + "}"
