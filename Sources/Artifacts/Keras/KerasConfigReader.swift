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
  /// A layer that changes nothing → what it reads.
  private var passedThrough: [String: String] = [:]
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
    guard let kind = root["class_name"]?.string else {
      throw bad("the model's class", found: "nothing", expected: "Functional or Sequential")
    }
    guard KerasLayerList.models.contains(kind), root.isOfKeras else {
      throw .foreign(
        path: path, found: "a model of the class \(root.foreignName), written as code",
        expected: "a Functional or Sequential one", advice: ArchiveError.ownLayersAlone)
    }
    var list = KerasLayerList(path: path, layerLimit: layerLimit)
    let output = try list.append(model: root)
    hasFrozenLayers = list.hasFrozenModel
    for config in list.layers {
      for input in config.inputs + config.keywordInputs.values {
        readers[input, default: 0] += 1
      }
    }
    for config in list.layers { try append(config) }
    guard let output, let index = outputs[output] else {
      throw bad("the model's layers", found: "none", expected: "some")
    }
    guard index == layers.count - 1 else {
      throw notOurs("an output, \(output), that is not the last layer")
    }
    return try finish(name: root["config"]?["name"]?.string ?? "model")
  }

  // MARK: Layers

  private mutating func append(_ config: LayerConfig) throws(ArchiveError) {
    if config.className != "Cast" {
      let policy = try naming { () throws(LayerConfigError) in try config.dtypePolicy() }
      if self.policy == "float32" && policy != "float32" { self.policy = policy }
      if config.settings["trainable"] == false { hasFrozenLayers = true }
    }
    guard config.keywordInputs.isEmpty || config.className == "MultiHeadAttention" else {
      throw unsupported(
        config, "call arguments", found: config.keywordInputs.keys.sorted().joined(separator: ", "),
        expected: "none")
    }
    var inputs: [Int] = []
    for name in config.inputs { inputs.append(try index(of: name, for: config)) }
    let inputShapes = inputs.map { shapes[$0] }
    switch try naming({ () throws(LayerConfigError) in try Self.read(config, inputShapes) }) {
    case .layers(let kinds):
      var inputs = inputs
      for (step, kind) in kinds.enumerated() {
        let suffix = step == 0 ? "" : "_\(type(of: kind).automaticName)"
        try add(kind, inputs, config, suffix: suffix)
        inputs = [layers.count - 1]
      }
    case .scaled(let sequence, let scale, let isVector):
      var factor = inputs[scale]
      if isVector {
        try add(Layers.Reshape(), [factor], config, suffix: "_reshape")
        factor = layers.count - 1
      }
      try add(Layers.Multiply(), [inputs[sequence], factor], config)
    case .attention(let attention):
      try add(attention, [try selfAttended(config, inputs)], config)
    case .identity:
      guard inputs.count == 1 else {
        throw unsupported(config, "inputs", found: "\(inputs.count)", expected: "one")
      }
      outputs[config.name] = inputs[0]
      passedThrough[config.name] = config.inputs[0]
    case .activationOfDense(let activation):
      try fuse(activation, inputs, config)
    }
  }

  private static func read(
    _ config: LayerConfig, _ shapes: [[Int]]
  ) throws(LayerConfigError) -> LayerReading {
    if config.className == "Cast" {
      try config.checkCast()
      return .identity
    }
    guard let layer = Layers.type(ofClass: config.className) else {
      throw config.unsupported(
        "class", found: config.className,
        expected: "one of \(Layers.classNames.joined(separator: ", "))")
    }
    return try layer.read(config, shapes: shapes)
  }

  /// The one layer that an attention reads as query, as value and, if it is given one, as key.
  private func selfAttended(
    _ config: LayerConfig, _ positional: [Int]
  ) throws(ArchiveError) -> Int {
    var inputs = positional
    for name in config.keywordInputs.keys.sorted() {
      guard ["query", "key", "value"].contains(name), let source = config.keywordInputs[name]
      else {
        throw unsupported(config, "call argument \(name)", found: "a tensor", expected: "none")
      }
      inputs.append(try index(of: source, for: config))
    }
    guard let first = inputs.first, inputs.allSatisfy({ $0 == first }), inputs.count >= 2 else {
      throw unsupported(
        config, "query, value and key", found: "different layers' outputs",
        expected: "one layer's output (self-attention)")
    }
    return first
  }

  private func index(of name: String, for config: LayerConfig) throws(ArchiveError) -> Int {
    guard let index = outputs[name] else {
      throw unsupported(
        config, "input", found: name, expected: "a layer that comes before it")
    }
    return index
  }

  private mutating func add(
    _ kind: any NetworkLayer, _ inputs: [Int], _ config: LayerConfig, suffix: String = ""
  ) throws(ArchiveError) {
    var name = config.name + suffix
    while names.contains(name) { name += "_" }
    let layer = Layer(name: name, kind: kind, inputs: inputs)
    let network: Network
    do {
      network = try Network(name: "model", layers: layers + [layer])
    } catch {
      throw notOurs("layers that cannot be run here: \(error.description)")
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
    let variables = kind.variables(inputs.map { shapes[$0] })
    if !variables.isEmpty {
      // Only layers with variables need their counter, and each has a class of its own.
      let group = counter.path(of: type(of: kind).automaticName, in: config.container)
      variablePaths += KerasLayout.variablePaths(of: variables, below: group)
    }
  }

  /// Sigmoid and softmax exist as part of a dense layer: an activation right after a linear one,
  /// its only reader, becomes that.
  private mutating func fuse(
    _ activation: Activation, _ inputs: [Int], _ config: LayerConfig
  ) throws(ArchiveError) {
    guard inputs.count == 1, config.inputs.count == 1, isOnlyReader(of: config.inputs[0]),
      var dense = layers[inputs[0]].kind as? Layers.Dense, dense.activation == .linear
    else {
      throw unsupported(
        config, "activation", found: activation.rawValue,
        expected: "relu, except right after a linear Dense that nothing else reads")
    }
    dense.activation = activation
    layers[inputs[0]].kind = dense
    outputs[config.name] = inputs[0]
  }

  /// Whether nothing but one layer reads an output, behind casts as well.
  private func isOnlyReader(of name: String) -> Bool {
    var name: String? = name
    while let output = name {
      guard readers[output] == 1 else { return false }
      name = passedThrough[output]
    }
    return true
  }

  private func finish(name: String) throws(ArchiveError) -> KerasModel {
    let read = Set(layers.flatMap(\.inputs))
    for (index, layer) in layers.dropLast().enumerated() where !read.contains(index) {
      throw notOurs("a layer, \(layer.name), that nothing reads")
    }
    let inputCount = layers.count { $0.kind is Layers.Input }
    guard inputCount == 1 else {
      throw notOurs(inputCount == 0 ? "a model without an InputLayer" : "\(inputCount) inputs")
    }
    if let last = layers.last, (last.kind as? Layers.Dense)?.activation == .linear {
      throw .foreign(
        path: path, found: "logits: the last layer, \(last.name) (Dense), has no softmax",
        expected: "probabilities",
        advice: "Add one in Keras, and save that: keras.Sequential([model, "
          + "keras.layers.Softmax()]).save(\"NAME.keras\").")
    }
    do {
      let network = try Network(name: name, layers: layers)
      try NetworkPlan.check(network)
      return KerasModel(
        network: network, variablePaths: variablePaths, dtypePolicy: policy,
        hasFrozenLayers: hasFrozenLayers)
    } catch {
      throw notOurs("a network that cannot be run here: \(error.description)")
    }
  }

  private func naming<Result>(
    _ body: () throws(LayerConfigError) -> Result
  ) throws(ArchiveError) -> Result { try ArchiveError.naming(path, body) }

  private func unsupported(
    _ layer: LayerConfig, _ setting: String, found: String, expected: String
  ) -> ArchiveError {
    ArchiveError(layer.unsupported(setting, found: found, expected: expected), path: path)
  }

  /// An intact model, and none that we can run.
  private func notOurs(_ found: String) -> ArchiveError {
    .foreign(
      path: path, found: found,
      expected:
        "one input of [samples, channels], layers that are known, and a Dense layer with softmax at "
        + "the end, of which every output is read",
      advice: ArchiveError.ownLayersAlone)
  }

  private func bad(_ part: String, found: String, expected: String) -> ArchiveError {
    .badContent(path: path, part: "config.json: \(part)", found: found, expected: expected)
  }
}
