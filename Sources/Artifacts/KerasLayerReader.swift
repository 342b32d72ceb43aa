import Compute
import Networks

/// What one layer of Keras becomes here.
struct KerasLayerReader {
  enum Result {
    case input(time: Int, channels: Int)
    /// Layers of ours, one after another.
    case kinds([Layer.Kind])
    /// A sequence times a scale, the positions of both among the inputs; a scale that is a vector
    /// becomes a sequence of one step first.
    case scaled(sequence: Int, scale: Int, isVector: Bool)
    /// Self-attention, whose inputs must all be one.
    case attention(Layer.Kind)
    /// Nothing: a cast, a linear activation.
    case identity
    /// An activation that exists only as part of a dense layer.
    case activationOfDense(Layer.Activation)
  }

  let config: KerasLayerConfig
  /// Of the inputs, without batch axes.
  let shapes: [[Int]]

  func result() throws(ArchiveError) -> Result {
    switch config.className {
    case "InputLayer": return try input()
    case "GaussianNoise":
      try config.refuseUnknown(besides: ["stddev"])
      return .kinds([.gaussianNoise(standardDeviation: try config.float("stddev"))])
    case "Conv1D": return .kinds(try convolution())
    case "BatchNormalization": return .kinds([try batchNormalization()])
    case "LayerNormalization": return .kinds([try layerNormalization()])
    case "Activation":
      try config.refuseUnknown(besides: ["activation"])
      return activation(try config.activation())
    case "ReLU":
      try config.expect("negative_slope", 0)
      try config.expect("threshold", 0)
      try config.refuseUnknown(besides: ["negative_slope", "threshold"])
      return .kinds([.relu])
    case "Softmax":
      try config.expectLastAxis(rank: rank)
      try config.refuseUnknown(besides: ["axis"])
      return .activationOfDense(.softmax)
    case "Cast":
      try config.checkCast()
      return .identity
    case "Concatenate":
      try config.expectLastAxis(rank: rank)
      try config.refuseUnknown(besides: ["axis"])
      return .kinds([.concatenate])
    case "Add":
      try config.refuseUnknown(besides: [])
      return .kinds([.add])
    case "Multiply":
      try config.refuseUnknown(besides: [])
      return scaling ?? .kinds([.multiply])
    case "Dropout":
      try config.refuseUnknown(besides: ["rate"])
      return .kinds([.dropout(rate: try config.float("rate"))])
    case "GlobalAveragePooling1D": return .kinds(try pooledMean())
    case "MaxPooling1D": return .kinds([try maxPooling()])
    case "Dense": return .kinds([try dense()])
    case "Reshape": return .kinds([try reshape()])
    case "MultiHeadAttention": return .attention(try attention())
    default:
      throw config.unsupported(
        "class", found: config.className, expected: "one of \(Self.known.joined(separator: ", "))")
    }
  }

  /// Layers that can be read.
  static let known = [
    "Activation", "Add", "BatchNormalization", "Concatenate", "Conv1D", "Dense", "Dropout",
    "GaussianNoise", "GlobalAveragePooling1D", "InputLayer", "LayerNormalization", "MaxPooling1D",
    "MultiHeadAttention", "Multiply", "ReLU", "Reshape", "Softmax",
  ]

  /// Axes of the first input, the batch left out: the last axis counted as Keras counts it.
  private var rank: Int { shapes.first?.count ?? 0 }

  /// `[T, C]` times `[1, C]` or `[C]`, in either order; nil for any other shapes. Keras's layer
  /// gives the vector the axis that it lacks, behind the batch's.
  private var scaling: Result? {
    guard shapes.count == 2 else { return nil }
    for (sequence, scale) in [(0, 1), (1, 0)] where shapes[sequence].count == 2 {
      if shapes[scale].count == 1, !config.isFunction {
        return .scaled(sequence: sequence, scale: scale, isVector: true)
      }
      if shapes[scale].count == 2, shapes[scale][0] == 1, shapes[sequence][0] != 1 {
        return .scaled(sequence: sequence, scale: scale, isVector: false)
      }
    }
    return nil
  }

  private func activation(_ activation: Layer.Activation) -> Result {
    switch activation {
    case .linear: .identity
    case .relu: .kinds([.relu])
    case .sigmoid, .softmax: .activationOfDense(activation)
    }
  }

  private func input() throws(ArchiveError) -> Result {
    try config.refuseUnknown(besides: ["batch_shape", "batch_input_shape"])
    let shape = config.settings["batch_shape"]
    guard let axes = shape?.array, axes.count == 3, let time = axes[1].int,
      let channels = axes[2].int
    else {
      throw config.unsupported(
        "batch_shape", found: shape?.brief ?? "missing", expected: "[null, samples, channels]")
    }
    return .input(time: time, channels: channels)
  }

  private func convolution() throws(ArchiveError) -> [Layer.Kind] {
    try config.expect("strides", 1, [1])
    try config.expect("data_format", "channels_last")
    try config.expect("groups", 1)
    try config.expect("use_bias", true)
    try config.refuseUnknown(besides: [
      "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
      "activation", "use_bias", "kernel_regularizer",
    ])
    guard let name = config.settings["padding"]?.string, let padding = Padding(rawValue: name)
    else {
      throw config.unsupported(
        "padding", found: config.settings["padding"]?.brief ?? "missing",
        expected: "\"same\" or \"causal\"")
    }
    let kind = Layer.Kind.conv1D(
      filters: try config.int("filters"), kernelSize: try config.single("kernel_size"),
      dilation: try config.single("dilation_rate"), padding: padding, l2: try config.kernelL2())
    switch try config.activation() {
    case .linear: return [kind]
    case .relu: return [kind, .relu]
    case let other:
      throw config.unsupported("activation", found: other.rawValue, expected: "linear or relu")
    }
  }

  private func batchNormalization() throws(ArchiveError) -> Layer.Kind {
    try config.expectLastAxis(rank: rank)
    try config.expect("center", true)
    try config.expect("scale", true)
    try config.expect("renorm", false)
    // `synchronized` averages over replicas of a distributed training: here there is one.
    try config.refuseUnknown(besides: [
      "axis", "momentum", "epsilon", "center", "scale", "synchronized", "renorm_momentum",
    ])
    return .batchNormalization(
      momentum: try config.float("momentum"), epsilon: try positive("epsilon"))
  }

  private func layerNormalization() throws(ArchiveError) -> Layer.Kind {
    try config.expectLastAxis(rank: rank)
    try config.expect("center", true)
    try config.expect("scale", true)
    try config.refuseUnknown(besides: ["axis", "epsilon", "center", "scale"])
    return .layerNormalization(epsilon: try positive("epsilon"))
  }

  private func positive(_ key: String) throws(ArchiveError) -> Float {
    let value = try config.float(key)
    guard value > 0 else {
      throw config.unsupported(key, found: "\(value)", expected: "a positive number")
    }
    return value
  }

  private func pooledMean() throws(ArchiveError) -> [Layer.Kind] {
    try config.expect("data_format", "channels_last")
    try config.refuseUnknown(besides: ["data_format", "keepdims"])
    let keepsAxis = config.settings["keepdims"] == true
    return keepsAxis ? [.globalAveragePooling1D, .reshapeToSequence] : [.globalAveragePooling1D]
  }

  private func maxPooling() throws(ArchiveError) -> Layer.Kind {
    try config.expect("padding", "valid")
    try config.expect("data_format", "channels_last")
    try config.refuseUnknown(besides: ["pool_size", "strides", "padding", "data_format"])
    let size = try config.single("pool_size")
    try config.expect("strides", .integer(size), [.integer(size)], nil)
    return .maxPooling1D(size: size)
  }

  private func dense() throws(ArchiveError) -> Layer.Kind {
    try config.expect("use_bias", true)
    try config.refuseUnknown(besides: ["units", "activation", "use_bias", "kernel_regularizer"])
    return .dense(
      units: try config.int("units"), activation: try config.activation(),
      l2: try config.kernelL2())
  }

  private func reshape() throws(ArchiveError) -> Layer.Kind {
    try config.refuseUnknown(besides: ["target_shape"])
    let channels = shapes.first?.count == 1 ? shapes[0][0] : 0
    try config.expect("target_shape", [1, .integer(channels)], [1, -1])
    guard config.settings["target_shape"] != nil, channels > 0 else {
      throw config.unsupported(
        "input", found: "\(shapes.first ?? [])", expected: "one vector [C], reshaped to [1, C]")
    }
    return .reshapeToSequence
  }

  private func attention() throws(ArchiveError) -> Layer.Kind {
    let keySize = try config.int("key_dim")
    try config.expect("value_dim", .integer(keySize), nil)
    try config.expect("use_bias", true)
    try config.expect("attention_axes", nil, [1], 1)
    if let channels = shapes.first?.last {
      try config.expect("output_shape", nil, .integer(channels), [.integer(channels)])
    }
    // `flash_attention` chooses how the same function is computed.
    try config.refuseUnknown(besides: [
      "num_heads", "key_dim", "value_dim", "dropout", "use_bias", "output_shape", "attention_axes",
      "flash_attention",
    ])
    return .multiHeadAttention(
      heads: try config.int("num_heads"), keySize: keySize, dropout: try config.float("dropout"))
  }
}
