/// Records that Keras writes into `config.json`.
extension JSONValue {
  /// An object of Keras: its module, class and settings.
  public static func keras(
    _ className: String, in module: String, _ config: JSONValue = [:]
  ) -> JSONValue {
    [
      "module": .string(module), "class_name": .string(className), "config": config,
      "registered_name": nil,
    ]
  }

  static func initializer(_ name: String, _ config: JSONValue = [:]) -> JSONValue {
    keras(name, in: "keras.initializers", config)
  }
}

extension [String: JSONValue] {
  /// With the settings of a layer that has a kernel and a bias.
  func withKernelAndBias(l2: Float) -> Self {
    merging([
      "use_bias": true, "kernel_initializer": .initializer("GlorotUniform", ["seed": nil]),
      "bias_initializer": .initializer("Zeros"),
      "kernel_regularizer": l2 > 0
        ? .keras("L2", in: "keras.regularizers", ["l2": .number(l2)]) : nil,
      "bias_regularizer": nil, "kernel_constraint": nil, "bias_constraint": nil,
    ]) { own, _ in own }
  }

  /// With the settings of a normalization.
  func withScaleAndCenter(epsilon: Float) -> Self {
    merging([
      "epsilon": .number(epsilon), "center": true, "scale": true,
      "beta_initializer": .initializer("Zeros"), "gamma_initializer": .initializer("Ones"),
      "beta_regularizer": nil, "gamma_regularizer": nil, "beta_constraint": nil,
      "gamma_constraint": nil,
    ]) { own, _ in own }
  }
}

// MARK: Pooling over time

extension LayerConfig {
  /// Size and stride of a pool, which are one, without padding.
  func poolSize() throws(LayerConfigError) -> Int {
    try expect("padding", "valid")
    try expect("data_format", "channels_last")
    try refuseUnknown(besides: ["pool_size", "strides", "padding", "data_format"])
    let size = try single("pool_size")
    try expect("strides", .integer(size), [.integer(size)], nil)
    return size
  }

  func positive(_ key: String) throws(LayerConfigError) -> Float {
    let value = try float(key)
    guard value > 0 else {
      throw unsupported(key, found: "\(value)", expected: "a positive number")
    }
    return value
  }
}
