"""Which rule says where the batch is after an operation, by its type.

An operation that is not in the table may move the batch anywhere.
"""

from __future__ import annotations

from visualcnn_tf.introspect import batch_axis_rules as rules
from visualcnn_tf.introspect.batch_axis_reshape import reshape
from visualcnn_tf.introspect.batch_axis_rules import Rule

#: The types of operations that work number by number.
ELEMENTWISE = (
    *("Abs", "Acos", "Acosh", "Add", "AddN", "AddV2", "AdjustContrastv2", "AdjustHue", "AdjustSaturation", "Asin"),
    *("Asinh", "Atan", "Atan2", "Atanh", "BiasAdd", "BitwiseAnd", "Bucketize", "BroadcastTo", "Cast", "Ceil"),
    *("CheckNumerics", "ClipByValue", "Cos", "Cosh", "Digamma", "Div", "DivNoNan", "Elu", "EnsureShape", "Equal"),
    *("Erf", "Erfc", "Erfinv", "Exp", "Expm1", "FakeQuantWithMinMaxVars", "Floor", "FloorDiv", "FloorMod", "Greater"),
    *("GreaterEqual", "HSVToRGB", "Identity", "Inv", "IsFinite", "IsInf", "IsNan", "LeakyRelu", "Less", "LessEqual"),
    *("Lgamma", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mod", "Mul"),
    *("MulNoNan", "Ndtri", "Neg", "NotEqual", "OnesLike", "Pow", "PreventGradient", "RealDiv", "Reciprocal", "Relu"),
    *("Relu6", "RGBToHSV", "Rint", "Round", "Rsqrt", "Select", "SelectV2", "Selu", "Sigmoid", "Sign", "Sin", "Sinh"),
    *("Snapshot", "Softplus", "Softsign", "Sqrt", "Square", "SquaredDifference", "StopGradient", "Sub", "Tan", "Tanh"),
    *("TruncateDiv", "TruncateMod", "Xdivy", "Xlog1py", "Xlogy", "ZerosLike"),
)
_OF_ROWS = (
    *("AvgPool", "AvgPool3D", "Conv2D", "Conv3D", "DepthToSpace", "DepthwiseConv2dNative", "Dilation2D"),
    *("ExtractImagePatches", "ExtractVolumePatches", "FusedBatchNormV3", "ImageProjectiveTransformV3", "LRN"),
    *("MaxPool", "MaxPool3D", "MaxPoolWithArgmax", "ResizeArea", "ResizeBicubic", "ResizeBilinear"),
    *("ResizeNearestNeighbor", "ScaleAndTranslate", "SpaceToDepth"),
)
_REDUCTIONS = ("All", "Any", "ArgMax", "ArgMin", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum")

#: The rules by the type of the operation.
RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, rules.elementwise),
    **dict.fromkeys(_OF_ROWS, rules.rows()),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), rules.rows(2)),
    **dict.fromkeys(_REDUCTIONS, rules.reduction),
    **dict.fromkeys(("LogSoftmax", "Softmax", "TopKV2"), rules.last_axis),
    **dict.fromkeys(("Cumsum", "Cumprod", "ReverseV2"), rules.axes(1)),
    "Roll": rules.axes(2),
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), rules.pad),
    **dict.fromkeys(("BatchMatMulV2", "BatchMatMulV3"), rules.product(("adj_x", "adj_y"))),
    "MatMul": rules.product(("transpose_a", "transpose_b")),
    "BatchToSpaceND": rules.batch_to_space,
    "ConcatV2": rules.concat,
    "Einsum": rules.einsum,
    "ExpandDims": rules.expand,
    "GatherV2": rules.gather(0, 1),
    "OneHot": rules.one_hot,
    "Pack": rules.pack,
    "Reshape": reshape,
    "ResourceGather": rules.gather(0, 1),
    "Slice": rules.begin_and_size,
    "SpaceToBatchND": rules.space_to_batch,
    "Split": rules.split(1, 0),
    "SplitV": rules.split(0, 2),
    "Squeeze": rules.squeeze,
    "StridedSlice": rules.strided_slice,
    "Tile": rules.tile,
    "Transpose": rules.transpose,
    "Unpack": rules.unpack,
}
