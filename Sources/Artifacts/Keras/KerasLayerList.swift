import Networks

/// The layers of a model of `config.json` in one list, those of models within it among them: each
/// names the layers it reads, whatever model these lie in.
struct KerasLayerList {
  let path: String
  let layerLimit: Int

  /// Each behind those it reads.
  private(set) var layers: [LayerConfig] = []
  /// Some model within is frozen.
  private(set) var hasFrozenModel = false
  private var names: Set<String> = []
  private var counter = KerasLayout.ClassCounter()

  /// What a model within another one is called, where its variables lie, and what it reads.
  private struct Place {
    /// Before the names of its layers.
    var scope = ""
    var container = "layers"
    /// The layer whose output the model is given; nil for the outermost, whose input is its own.
    var source: String?
  }

  init(path: String, layerLimit: Int) {
    self.path = path
    self.layerLimit = layerLimit
  }

  /// Takes in the outermost model.
  ///
  /// - Returns: the name of the layer whose output is the model's; nil where there is no layer.
  mutating func append(model record: JSONValue) throws(ArchiveError) -> String? {
    try append(record, at: Place())
  }

  private mutating func append(
    _ record: JSONValue, at place: Place
  ) throws(ArchiveError) -> String? {
    let isFunctional = record["class_name"] == "Functional"
    guard let config = record["config"], let items = config["layers"]?.array else {
      throw bad("the model's layers", found: "none", expected: "a list")
    }
    if config["trainable"] == false { hasFrozenModel = true }
    // Name of a layer in its own model → name in this list.
    var outputs: [String: String] = [:]
    var previous = place.source
    for item in items {
      let (name, className) = try identity(of: item)
      guard outputs[name] == nil else {
        throw bad("the layers", found: "two called \(name)", expected: "unique names")
      }
      var layer = LayerConfig(
        className: className, name: place.scope + name,
        settings: item["config"]?.object ?? [:])
      layer.container = place.container
      try check(item, of: &layer)
      if isFunctional {
        try readNodes(item, into: &layer, outputs: outputs)
      } else if let previous {
        layer.inputs = [previous]
      }
      let output = try append(layer, item, at: place)
      outputs[name] = output
      previous = output
    }
    guard isFunctional else { return previous }
    return try ends(of: config, outputs: outputs, isOutermost: place.source == nil)
  }

  /// Takes in one layer or model.
  ///
  /// - Returns: the name of the layer that gives its output.
  private mutating func append(
    _ layer: LayerConfig, _ item: JSONValue, at place: Place
  ) throws(ArchiveError) -> String {
    if Self.models.contains(layer.className) { return try appendModel(layer, item) }
    if layer.className == "InputLayer", let source = place.source {
      // The model's input is what it is called with; its type may still be a cast to integers.
      _ = try ArchiveError.naming(path) { () throws(LayerConfigError) in try layer.dtypePolicy() }
      return source
    }
    guard layers.count < layerLimit else {
      throw .tooLarge(
        path: path, part: "the number of layers", found: layers.count + 1, limit: layerLimit)
    }
    guard names.insert(layer.name).inserted else {
      throw bad("the layers", found: "two called \(layer.name)", expected: "unique names")
    }
    layers.append(layer)
    return layer.name
  }

  private mutating func appendModel(
    _ layer: LayerConfig, _ item: JSONValue
  ) throws(ArchiveError) -> String {
    guard layer.inputs.count == 1, layer.keywordInputs.isEmpty else {
      throw unsupported(
        layer,
        "inputs", found: "\(layer.inputs.count + layer.keywordInputs.count)", expected: "one")
    }
    let group = layer.className == "Sequential" ? "sequential" : "functional"
    let container = counter.path(of: group, in: layer.container) + "/layers"
    let place = Place(scope: layer.name + "_", container: container, source: layer.inputs[0])
    return try append(item, at: place) ?? layer.inputs[0]
  }

  /// Models that are lists of layers.
  static let models = ["Functional", "Sequential"]

  private func identity(
    of item: JSONValue
  ) throws(ArchiveError) -> (name: String, className: String) {
    guard let className = item["class_name"]?.string else {
      throw bad("a layer", found: item.brief, expected: "a class_name")
    }
    guard let name = item["name"]?.string ?? item["config"]?["name"]?.string, !name.isEmpty,
      name.utf8.count <= 256
    else { throw bad("a layer of class \(className)", found: "no name", expected: "a name") }
    return (name, className)
  }

  /// Functions of `keras.ops` that have a layer's name and compute what it computes.
  private static let functions = ["Add", "Cast", "Concatenate", "Multiply", "Softmax"]

  private func check(
    _ item: JSONValue, of layer: inout LayerConfig
  ) throws(ArchiveError) {
    let known = "one of Keras's own: " + Layers.classNames.joined(separator: ", ")
    guard item.isOfKeras else {
      throw unsupported(
        layer,
        "class", found: "\(item.foreignName), which is none of Keras's own", expected: known)
    }
    layer.isFunction = item["module"]?.string?.hasPrefix("keras.src.ops") ?? false
    guard !layer.isFunction || Self.functions.contains(layer.className) else {
      throw unsupported(
        layer,
        "class", found: "the function \(layer.className) of keras.ops", expected: known)
    }
  }

  // MARK: Connections

  private func readNodes(
    _ item: JSONValue, into layer: inout LayerConfig, outputs: [String: String]
  ) throws(ArchiveError) {
    let nodes = item["inbound_nodes"]?.array ?? []
    guard nodes.count <= 1 else {
      throw unsupported(
        layer,
        "use", found: "\(nodes.count) calls of one layer", expected: "one call")
    }
    guard let node = nodes.first else { return }
    for argument in node["args"]?.array ?? [] {
      // Merging layers take one list of tensors.
      for tensor in argument.array ?? [argument] where tensor != .null {
        layer.inputs.append(try source(of: tensor, layer, outputs))
      }
    }
    for (key, value) in (node["kwargs"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      if value["class_name"] == "__keras_tensor__" {
        layer.keywordInputs[key] = try source(of: value, layer, outputs)
      } else if !value.isUnset {
        throw unsupported(
          layer, "call argument \(key)", found: value.brief, expected: "none")
      }
    }
  }

  private func source(
    of tensor: JSONValue, _ layer: LayerConfig, _ outputs: [String: String]
  ) throws(ArchiveError) -> String {
    guard tensor["class_name"] == "__keras_tensor__",
      let history = tensor["config"]?["keras_history"]?.array, history.count == 3,
      let name = history[0].string, history[1] == 0, history[2] == 0
    else {
      throw unsupported(
        layer,
        "input", found: tensor.brief, expected: "the one output of another layer")
    }
    guard let output = outputs[name] else {
      throw unsupported(
        layer, "input", found: name, expected: "a layer that comes before it")
    }
    return output
  }

  /// One input and one output.
  ///
  /// - Returns: the name of the layer that gives the output.
  private func ends(
    of config: JSONValue, outputs: [String: String], isOutermost: Bool
  ) throws(ArchiveError) -> String? {
    var found: [String] = []
    for key in ["input_layers", "output_layers"] {
      guard let value = config[key], value != .null else {
        throw bad(key, found: "nothing", expected: "one")
      }
      // Keras up to 3.12 or so writes [[name, 0, 0]], later versions [name, 0, 0].
      let list = value.array ?? []
      let one = list.count == 1 ? list[0].array ?? [] : list
      guard one.count == 3, let name = one[0].string, one[1].int != nil else {
        throw .foreign(
          path: path, found: "a model whose \(key) are \(value.brief)",
          expected: "one input and one output, neither in a dictionary",
          advice: ArchiveError.ownLayersAlone)
      }
      guard let output = outputs[name] else {
        throw bad(key, found: value.brief, expected: "one layer of the list")
      }
      found.append(output)
    }
    return found[1]
  }

  private func unsupported(
    _ layer: LayerConfig, _ setting: String, found: String, expected: String
  ) -> ArchiveError {
    ArchiveError(layer.unsupported(setting, found: found, expected: expected), path: path)
  }

  private func bad(_ part: String, found: String, expected: String) -> ArchiveError {
    .badContent(path: path, part: "config.json: \(part)", found: found, expected: expected)
  }
}
