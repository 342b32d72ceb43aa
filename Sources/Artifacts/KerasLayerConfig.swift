import Networks

/// One layer of a `config.json`, with questions that either have an answer we can represent or
/// throw a sentence naming the layer and its setting.
struct KerasLayerConfig {
  /// The archive, for messages.
  let path: String
  let className: String
  let name: String
  let settings: [String: JSONValue]
  /// Outputs of other layers that this one reads, in order, and by keyword.
  var inputs: [String] = []
  var keywordInputs: [String: String] = [:]

  /// `name (Class)`, as messages call the layer.
  var title: String { "\(name) (\(className))" }

  func unsupported(_ setting: String, found: String, expected: String) -> ArchiveError {
    .unsupported(path: path, layer: title, setting: setting, found: found, expected: expected)
  }

  func int(_ key: String) throws(ArchiveError) -> Int {
    guard let value = settings[key]?.int else {
      throw unsupported(key, found: brief(key), expected: "a whole number")
    }
    return value
  }

  func float(_ key: String) throws(ArchiveError) -> Float {
    guard let value = settings[key]?.double, value.isFinite, abs(value) < 1e30 else {
      throw unsupported(key, found: brief(key), expected: "a number")
    }
    return Float(value)
  }

  /// A size that Keras writes as `3` or `[3]`.
  func single(_ key: String) throws(ArchiveError) -> Int {
    if let value = settings[key]?.int { return value }
    if let list = settings[key]?.array, list.count == 1, let value = list[0].int { return value }
    throw unsupported(key, found: brief(key), expected: "one whole number")
  }

  /// The setting has one of these values; a missing one counts as the first.
  func expect(_ key: String, _ allowed: JSONValue...) throws(ArchiveError) {
    guard let value = settings[key], let first = allowed.first else { return }
    guard allowed.contains(value) else {
      throw unsupported(key, found: value.brief, expected: first.brief)
    }
  }

  /// `linear`, `relu`, …: a name, or Keras's record of a function with that name.
  func activation() throws(ArchiveError) -> Layer.Activation {
    guard let value = settings["activation"], value != .null else { return .linear }
    let name =
      value.string ?? (value["class_name"] == "function" ? value["config"]?.string : nil)
    guard let name, let activation = Layer.Activation(rawValue: name) else {
      throw unsupported(
        "activation", found: value.brief, expected: "linear, relu, sigmoid or softmax")
    }
    return activation
  }

  /// The kernel's L2 coefficient, 0 for none.
  func kernelL2() throws(ArchiveError) -> Float {
    guard let regularizer = settings["kernel_regularizer"], regularizer != .null else { return 0 }
    let isL2 =
      regularizer["class_name"] == "L2"
      || (regularizer["class_name"] == "L1L2" && regularizer["config"]?["l1"]?.double == 0)
    guard isL2, let value = regularizer["config"]?["l2"]?.double, value >= 0, value <= 1e6 else {
      throw unsupported("kernel_regularizer", found: regularizer.brief, expected: "L2 or none")
    }
    return Float(value)
  }

  /// The channel axis, counted from the end or from the batch axis.
  func expectLastAxis(rank: Int) throws(ArchiveError) {
    try expect("axis", -1, [-1], .integer(rank), .array([.integer(rank)]))
  }

  /// Refuses settings that nobody asked about, unless they are off or change nothing but the
  /// initial values and names. New versions of Keras add keys, off by default.
  func refuseUnknown(besides known: Set<String>) throws(ArchiveError) {
    let harmless: Set<String> = ["name", "trainable", "dtype", "seed", "batch_input_shape"]
    for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
      if known.contains(key) || harmless.contains(key) || key.hasSuffix("_initializer") { continue }
      guard value.isUnset else {
        throw unsupported(key, found: value.brief, expected: "none")
      }
    }
  }

  /// The policy's name; every one of these computes the same function, up to rounding.
  func dtypePolicy() throws(ArchiveError) -> String {
    guard let value = settings["dtype"], value != .null else { return "float32" }
    let name =
      value.string
      ?? (value["class_name"] == "DTypePolicy" ? value["config"]?["name"]?.string : nil)
    let known = [
      "float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16",
    ]
    guard let name, known.contains(name) else {
      throw unsupported("dtype", found: value.brief, expected: known.joined(separator: ", "))
    }
    return name
  }

  private func brief(_ key: String) -> String { settings[key]?.brief ?? "missing" }
}
