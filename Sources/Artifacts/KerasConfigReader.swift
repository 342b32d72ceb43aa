import Networks

/// A model of `config.json` as a `Network`, with the HDF5 path of each of its variables. Nothing in
/// the file is executed: layers are taken from a fixed list, settings are compared.
struct KerasModel {
  var network: Network
  /// Parallel to `network.weights`.
  var variablePaths: [String]
  /// The first layer's policy that is not `float32`, else `float32`.
  var dtypePolicy: String
  /// Some layer is frozen: the optimizer then holds no moments for it.
  var hasFrozenLayers: Bool
}

struct KerasConfigReader {
  let path: String
  let root: JSONValue
  let layerLimit: Int
  let parameterLimit: Int

  private var layers: [Layer] = []
  private var shapes: [[Int]] = []
  private var names: Set<String> = []
  /// Keras's name of a layer → index of the layer of ours that gives its output.
  private var outputs: [String: Int] = [:]
  /// How many layers read an output.
  private var readers: [String: Int] = [:]
  private var counter = KerasLayout.ClassCounter()
  private var variablePaths: [String] = []
  private var policy = "float32"
  private var hasFrozenLayers = false

  init(path: String, root: JSONValue, layerLimit: Int, parameterLimit: Int) {
    self.path = path
    self.root = root
    self.layerLimit = layerLimit
    self.parameterLimit = parameterLimit
  }

  mutating func model() throws(ArchiveError) -> KerasModel {
    let kind = root["class_name"]?.string ?? "nothing"
    guard kind == "Functional" || kind == "Sequential" else {
      throw bad("the model's class", found: kind, expected: "Functional or Sequential")
    }
    guard let config = root["config"], let list = config["layers"]?.array else {
      throw bad("the model's layers", found: "none", expected: "a list")
    }
    guard list.count <= layerLimit else {
      throw .tooLarge(
        path: path, part: "the number of layers", found: list.count, limit: layerLimit)
    }
    let configs =
      kind == "Functional" ? try functional(list) : try sequential(list)
    for config in configs {
      for input in config.inputs + config.keywordInputs.values {
        readers[input, default: 0] += 1
      }
    }
    for config in configs { try append(config) }
    if kind == "Functional" { try checkEnds(config) }
    return try finish(name: config["name"]?.string ?? "model", last: configs.last?.name ?? "")
  }

  // MARK: The list of layers

  private func sequential(_ list: [JSONValue]) throws(ArchiveError) -> [KerasLayerConfig] {
    var configs: [KerasLayerConfig] = []
    for item in list {
      var config = try layerConfig(item)
      if let previous = configs.last { config.inputs = [previous.name] }
      configs.append(config)
    }
    return configs
  }

  private func functional(_ list: [JSONValue]) throws(ArchiveError) -> [KerasLayerConfig] {
    var configs: [KerasLayerConfig] = []
    for item in list {
      var config = try layerConfig(item)
      let nodes = item["inbound_nodes"]?.array ?? []
      guard nodes.count <= 1 else {
        throw config.unsupported(
          "use", found: "\(nodes.count) calls of one layer", expected: "one call")
      }
      if let node = nodes.first { try read(node, into: &config) }
      configs.append(config)
    }
    return configs
  }

  private func layerConfig(_ item: JSONValue) throws(ArchiveError) -> KerasLayerConfig {
    guard let className = item["class_name"]?.string else {
      throw bad("a layer", found: item.brief, expected: "a class_name")
    }
    let settings = item["config"]?.object ?? [:]
    guard let name = item["name"]?.string ?? settings["name"]?.string, !name.isEmpty,
      name.utf8.count <= 256
    else { throw bad("a layer of class \(className)", found: "no name", expected: "a name") }
    return KerasLayerConfig(path: path, className: className, name: name, settings: settings)
  }

  private func read(_ node: JSONValue, into config: inout KerasLayerConfig) throws(ArchiveError) {
    for argument in node["args"]?.array ?? [] {
      // Merging layers take one list of tensors.
      let tensors = argument.array ?? [argument]
      for tensor in tensors where tensor != .null {
        config.inputs.append(try source(of: tensor, config))
      }
    }
    for (key, value) in (node["kwargs"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      if value["class_name"] == "__keras_tensor__" {
        config.keywordInputs[key] = try source(of: value, config)
      } else if !value.isUnset {
        throw config.unsupported("call argument \(key)", found: value.brief, expected: "none")
      }
    }
  }

  private func source(of tensor: JSONValue, _ config: KerasLayerConfig) throws(ArchiveError)
    -> String
  {
    guard tensor["class_name"] == "__keras_tensor__",
      let history = tensor["config"]?["keras_history"]?.array, history.count == 3,
      let name = history[0].string, history[1] == 0, history[2] == 0
    else {
      throw config.unsupported(
        "input", found: tensor.brief, expected: "the one output of another layer")
    }
    return name
  }

  /// One input, one output, and those the first and last of the list.
  private func checkEnds(_ config: JSONValue) throws(ArchiveError) {
    for key in ["input_layers", "output_layers"] {
      // Keras up to 3.12 or so writes [[name, 0, 0]], later versions [name, 0, 0].
      guard let list = config[key]?.array, !list.isEmpty else {
        throw bad(key, found: config[key]?.brief ?? "nothing", expected: "one")
      }
      let one = list.count == 1 ? list[0].array ?? [] : list
      guard one.count == 3, let name = one[0].string, let index = outputs[name] else {
        throw bad(key, found: config[key]?.brief ?? "nothing", expected: "one layer of the list")
      }
      if key == "output_layers" && index != layers.count - 1 {
        throw bad(key, found: name, expected: "the last layer, \(layers.last?.name ?? "none")")
      }
    }
  }

  // MARK: Layers

  private mutating func append(_ config: KerasLayerConfig) throws(ArchiveError) {
    guard outputs[config.name] == nil else {
      throw bad("the layers", found: "two called \(config.name)", expected: "unique names")
    }
    if config.className != "Cast" {
      let policy = try config.dtypePolicy()
      if self.policy == "float32" && policy != "float32" { self.policy = policy }
      if config.settings["trainable"] == false { hasFrozenLayers = true }
    }
    guard config.keywordInputs.isEmpty || config.className == "MultiHeadAttention" else {
      throw config.unsupported(
        "call arguments", found: config.keywordInputs.keys.sorted().joined(separator: ", "),
        expected: "none")
    }
    var inputs: [Int] = []
    for name in config.inputs { inputs.append(try index(of: name, for: config)) }
    switch try KerasLayerReader(config: config, shapes: inputs.map { shapes[$0] }).result() {
    case .input(let time, let channels):
      try add(.input(time: time, channels: channels), [], config)
    case .kinds(let kinds):
      var inputs = inputs
      for (step, kind) in kinds.enumerated() {
        try add(kind, inputs, config, suffix: step == 0 ? "" : "_\(kind.kerasName)")
        inputs = [layers.count - 1]
      }
    case .swapped(let kind):
      try add(kind, inputs.reversed(), config)
    case .attention(let kind):
      for name in config.keywordInputs.keys.sorted() {
        guard ["query", "key", "value"].contains(name), let source = config.keywordInputs[name]
        else {
          throw config.unsupported("call argument \(name)", found: "a tensor", expected: "none")
        }
        inputs.append(try index(of: source, for: config))
      }
      guard let first = inputs.first, inputs.allSatisfy({ $0 == first }), inputs.count >= 2 else {
        throw config.unsupported(
          "query, value and key", found: "different layers' outputs",
          expected: "one layer's output (self-attention)")
      }
      try add(kind, [first], config)
    case .identity:
      guard inputs.count == 1 else {
        throw config.unsupported("inputs", found: "\(inputs.count)", expected: "one")
      }
      outputs[config.name] = inputs[0]
    case .activationOfDense(let activation):
      try fuse(activation, inputs, config)
    }
  }

  private func index(of name: String, for config: KerasLayerConfig) throws(ArchiveError) -> Int {
    guard let index = outputs[name] else {
      throw config.unsupported("input", found: name, expected: "a layer that comes before it")
    }
    return index
  }

  private mutating func add(
    _ kind: Layer.Kind, _ inputs: [Int], _ config: KerasLayerConfig, suffix: String = ""
  ) throws(ArchiveError) {
    var name = config.name + suffix
    while names.contains(name) { name += "_" }
    let layer = Layer(name: name, kind: kind, inputs: inputs)
    let network: Network
    do {
      network = try Network(name: "model", layers: layers + [layer])
    } catch {
      throw bad("the layers", found: error.description, expected: "shapes that fit")
    }
    guard network.parameterCount <= parameterLimit else {
      throw .tooLarge(
        path: path, part: "the number of parameters up to layer \(config.title)",
        found: network.parameterCount, limit: parameterLimit)
    }
    names.insert(name)
    layers.append(layer)
    shapes = network.shapes
    outputs[config.name] = layers.count - 1
    let count = network.weights.count { $0.layer == layers.count - 1 }
    if count > 0 {
      // Only layers with variables need their counter, and each has a class of its own.
      let group = counter.path(of: kind.kerasName)
      variablePaths += KerasLayout.variablePaths(of: kind, below: group, count: count)
    }
  }

  /// Sigmoid and softmax exist as part of a dense layer: an activation right after a linear one,
  /// its only reader, becomes that.
  private mutating func fuse(
    _ activation: Layer.Activation, _ inputs: [Int], _ config: KerasLayerConfig
  ) throws(ArchiveError) {
    guard inputs.count == 1, config.inputs.count == 1, readers[config.inputs[0]] == 1,
      case .dense(let units, .linear, let l2) = layers[inputs[0]].kind
    else {
      throw config.unsupported(
        "activation", found: activation.rawValue,
        expected: "relu, except right after a linear Dense that nothing else reads")
    }
    layers[inputs[0]].kind = .dense(units: units, activation: activation, l2: l2)
    outputs[config.name] = inputs[0]
  }

  private func finish(name: String, last: String) throws(ArchiveError) -> KerasModel {
    let read = Set(layers.flatMap(\.inputs))
    for (index, layer) in layers.dropLast().enumerated() where !read.contains(index) {
      throw bad("the layers", found: "\(layer.name), which nothing reads", expected: "one output")
    }
    let inputCount = layers.count { if case .input = $0.kind { true } else { false } }
    guard inputCount == 1 else {
      throw bad("the layers", found: "\(inputCount) inputs", expected: "one InputLayer")
    }
    do {
      let network = try Network(name: name, layers: layers)
      try NetworkPlan.check(network)
      return KerasModel(
        network: network, variablePaths: variablePaths, dtypePolicy: policy,
        hasFrozenLayers: hasFrozenLayers)
    } catch {
      throw bad("the layers", found: error.description, expected: "a network that we can run")
    }
  }

  private func bad(_ part: String, found: String, expected: String) -> ArchiveError {
    .badContent(path: path, part: "config.json: \(part)", found: found, expected: expected)
  }
}
