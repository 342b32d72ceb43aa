/// A layer of Keras, or a setting of one, that our layers do not have.
public struct LayerConfigError: Error, Equatable {
  /// `name (Class)`.
  public var layer: String
  public var setting: String
  public var found: String
  public var expected: String
  /// What to do, where it is something particular.
  public var advice: String?
}

/// One layer of a `config.json`, with questions that either have an answer we can represent or
/// throw what is wrong with which setting.
public struct LayerConfig: Sendable {
  public let className: String
  /// As the file has it; behind those of the models it lies in, where it lies within others.
  public let name: String
  public let settings: [String: JSONValue]
  /// A function of `keras.ops`, not a layer: where inputs differ in their axes, it pairs the last
  /// ones, as NumPy does, and a layer the first.
  public var isFunction = false
  /// The HDF5 group of the layers of its model.
  public var container = "layers"
  /// Outputs of other layers that this one reads, in order, and by keyword.
  public var inputs: [String] = []
  public var keywordInputs: [String: String] = [:]

  public init(className: String, name: String, settings: [String: JSONValue]) {
    self.className = className
    self.name = name
    self.settings = settings
  }

  /// `name (Class)`, as messages call the layer.
  public var title: String { "\(name) (\(className))" }

  public func unsupported(
    _ setting: String, found: String, expected: String, advice: String? = nil
  ) -> LayerConfigError {
    LayerConfigError(
      layer: title, setting: setting, found: found, expected: expected, advice: advice)
  }

  func int(_ key: String) throws(LayerConfigError) -> Int {
    guard let value = settings[key]?.int else {
      throw unsupported(key, found: brief(key), expected: "a whole number")
    }
    return value
  }

  func float(_ key: String) throws(LayerConfigError) -> Float {
    guard let value = settings[key]?.double, value.isFinite, abs(value) < 1e30 else {
      throw unsupported(key, found: brief(key), expected: "a number")
    }
    return Float(value)
  }

  /// A size that Keras writes as `3` or `[3]`.
  func single(_ key: String) throws(LayerConfigError) -> Int {
    if let value = settings[key]?.int { return value }
    if let list = settings[key]?.array, list.count == 1, let value = list[0].int { return value }
    throw unsupported(key, found: brief(key), expected: "one whole number")
  }

  /// The setting has one of these values; a missing one counts as the first.
  func expect(_ key: String, _ allowed: JSONValue...) throws(LayerConfigError) {
    guard let value = settings[key], let first = allowed.first else { return }
    guard allowed.contains(value) else {
      throw unsupported(key, found: value.brief, expected: first.brief)
    }
  }

  /// `linear`, `relu`, …: a name, or Keras's record of a function with that name.
  ///
  /// - Parameter allowed: those that the layer can have.
  func activation(
    _ allowed: [Activation] = [.linear, .relu, .sigmoid, .softmax]
  ) throws(LayerConfigError) -> Activation {
    guard let value = settings["activation"], value != .null else { return .linear }
    let isKerasFunction = value["class_name"] == "function" && value.isOfKeras
    let name = value.string ?? (isKerasFunction ? value["config"]?.string : nil)
    guard let name, let activation = Activation(rawValue: name), allowed.contains(activation)
    else {
      let names = allowed.map(\.rawValue)
      throw unsupported(
        "activation", found: name ?? value.brief,
        expected: names.dropLast().joined(separator: ", ") + " or " + (names.last ?? ""))
    }
    return activation
  }

  /// The kernel's L2 coefficient, 0 for none.
  func kernelL2() throws(LayerConfigError) -> Float {
    guard let regularizer = settings["kernel_regularizer"], regularizer != .null else { return 0 }
    let isL2 =
      regularizer["class_name"] == "L2"
      || (regularizer["class_name"] == "L1L2" && regularizer["config"]?["l1"]?.double == 0)
    guard isL2, regularizer.isOfKeras, let value = regularizer["config"]?["l2"]?.double, value >= 0,
      value <= 1e6
    else {
      throw unsupported("kernel_regularizer", found: regularizer.brief, expected: "L2 or none")
    }
    return Float(value)
  }

  /// The channel axis, counted from the end or from the batch axis.
  func expectLastAxis(rank: Int) throws(LayerConfigError) {
    try expect("axis", -1, [-1], .integer(rank), .array([.integer(rank)]))
  }

  /// Refuses settings that nobody asked about, unless they are off or change nothing but the
  /// initial values and names. New versions of Keras add keys, off by default.
  func refuseUnknown(besides known: Set<String>) throws(LayerConfigError) {
    let harmless: Set<String> = ["name", "trainable", "dtype", "seed", "batch_input_shape"]
    if let rank = settings["lora_rank"], !rank.isUnset {
      throw unsupported(
        "lora_rank", found: "\(rank.brief) (LoRA)", expected: "none", advice: Self.withoutLoRA)
    }
    for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
      if known.contains(key) || harmless.contains(key) || key.hasSuffix("_initializer") { continue }
      guard value.isUnset else {
        throw unsupported(
          key, found: value.brief, expected: "none",
          advice: Self.advice[key])
      }
    }
  }

  /// What to do about settings that change what is computed.
  private static let advice: [String: String] = [
    "lora_alpha": withoutLoRA, "quantization_config": unquantized,
  ]
  private static let withoutLoRA =
    "The layer has a LoRA adapter. Keras merges it into the kernel that it saves: build the same "
    + "model in Keras without enable_lora(), give it this file's weights with load_weights(), and "
    + "save that with model.save()."
  private static let unquantized =
    "The layer was quantized. Save the model before quantize(), in floating point, or evaluate it "
    + "in Keras."

  /// Types of numbers that hold what is computed, up to rounding.
  private static let floatingTypes = ["float32", "float16", "bfloat16", "float64"]

  /// A cast must not take anything away but digits.
  public func checkCast() throws(LayerConfigError) {
    let found = settings["dtype"]?.string ?? brief("dtype")
    guard Self.floatingTypes.contains(found) else {
      throw unsupported(
        "dtype", found: found, expected: Self.floatingTypes.joined(separator: ", "))
    }
  }

  /// The policy's name; every one of these computes the same function, up to rounding.
  public func dtypePolicy() throws(LayerConfigError) -> String {
    guard let value = settings["dtype"], value != .null else { return "float32" }
    let isPolicy = value["class_name"] == "DTypePolicy" && value.isOfKeras
    let name = value.string ?? (isPolicy ? value["config"]?["name"]?.string : nil)
    let known = Self.floatingTypes + ["mixed_float16", "mixed_bfloat16"]
    if let mode = Self.quantization(value) {
      throw unsupported(
        "dtype", found: "quantized to \(mode)", expected: known.joined(separator: ", "),
        advice: Self.unquantized)
    }
    guard let name, known.contains(name) else {
      throw unsupported("dtype", found: value.brief, expected: known.joined(separator: ", "))
    }
    return name
  }

  /// `int8`, `int4`, `float8`, … of a policy that says so; nil for any other.
  private static func quantization(_ value: JSONValue) -> String? {
    if let mode = value["config"]?["mode"]?.string { return mode }
    // `int8_from_float32`, `int4/32_from_mixed_bfloat16`
    guard let name = value.string ?? value["config"]?["name"]?.string else { return nil }
    return name.firstRange(of: "_from_").map { String(name[..<$0.lowerBound]) }
  }

  private func brief(_ key: String) -> String { settings[key]?.brief ?? "missing" }
}

extension JSONValue {
  /// Whether this record names a class or function of Keras itself, not one that somebody wrote
  /// and called the same: Keras says the module it lies in, and under which name others are
  /// registered.
  public var isOfKeras: Bool {
    let isRegistered = self["registered_name"].map { $0 != .null } ?? false
    if isRegistered, self["registered_name"] != self["class_name"] { return false }
    guard let module = self["module"] else { return !isRegistered }
    guard let name = module.string else { return false }
    return name == "keras" || name.hasPrefix("keras.") || name == "builtins"
  }

  /// `emg>Conv1D`, as Keras registers a class of somebody's own.
  public var foreignName: String {
    self["registered_name"]?.string
      ?? [self["module"]?.string, self["class_name"]?.string]
      .compactMap { $0 }.joined(separator: ".")
  }
}
