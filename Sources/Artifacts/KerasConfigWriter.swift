import Networks

/// A network and how it was compiled as Keras's `config.json`, with keys that Keras 3.5 knows.
struct KerasConfigWriter {
  let network: Network
  /// Layers in Keras's order.
  let order: [Int]
  let training: TrainingSettings?

  func config() -> JSONValue {
    var inputName = ""
    for layer in network.layers {
      if case .input = layer.kind { inputName = layer.name }
    }
    let outputName = network.layers.last?.name ?? ""
    var root: [String: JSONValue] = [
      "module": "keras.src.models.functional", "class_name": "Functional",
      "registered_name": "Functional",
      "config": [
        "name": .string(network.name), "trainable": true,
        "layers": .array(order.map { layer(network.layers[$0]) }),
        "input_layers": [[.string(inputName), 0, 0]],
        "output_layers": [[.string(outputName), 0, 0]],
      ],
      "build_config": ["input_shape": nil],
    ]
    if let training { root["compile_config"] = compileConfig(training) }
    return .object(root)
  }

  // MARK: Layers

  private func layer(_ layer: Layer) -> JSONValue {
    var settings = settings(of: layer)
    settings["name"] = .string(layer.name)
    if case .input = layer.kind {
      settings["dtype"] = "float32"
    } else {
      settings["trainable"] = true
      settings["dtype"] = Self.object("DTypePolicy", in: "keras", ["name": "float32"])
    }
    return [
      "module": "keras.layers", "class_name": .string(Self.className(of: layer.kind)),
      "registered_name": nil, "name": .string(layer.name), "config": .object(settings),
      "inbound_nodes": inboundNodes(of: layer),
    ]
  }

  private func inboundNodes(of layer: Layer) -> JSONValue {
    let tensors = layer.inputs.map(tensor)
    switch layer.kind {
    case .input: return []
    case .concatenate, .add, .multiply: return [["args": [.array(tensors)], "kwargs": [:]]]
    case .multiHeadAttention: return [["args": .array(tensors + tensors), "kwargs": [:]]]
    default: return [["args": .array(tensors), "kwargs": [:]]]
    }
  }

  /// A reference to another layer's output.
  private func tensor(_ index: Int) -> JSONValue {
    let shape: [JSONValue] = [nil] + network.shapes[index].map { .integer($0) }
    return [
      "class_name": "__keras_tensor__",
      "config": [
        "shape": .array(shape), "dtype": "float32",
        "keras_history": [.string(network.layers[index].name), 0, 0],
      ],
    ]
  }

  /// Keras's class for a kind of layer.
  static func className(of kind: Layer.Kind) -> String {
    switch kind {
    case .input: "InputLayer"
    case .gaussianNoise: "GaussianNoise"
    case .conv1D: "Conv1D"
    case .batchNormalization: "BatchNormalization"
    case .relu: "Activation"
    case .concatenate: "Concatenate"
    case .dropout: "Dropout"
    case .globalAveragePooling1D: "GlobalAveragePooling1D"
    case .dense: "Dense"
    case .reshapeToSequence: "Reshape"
    case .multiply: "Multiply"
    case .add: "Add"
    case .layerNormalization: "LayerNormalization"
    case .multiHeadAttention: "MultiHeadAttention"
    case .maxPooling1D: "MaxPooling1D"
    }
  }

  private func settings(of layer: Layer) -> [String: JSONValue] {
    switch layer.kind {
    case .input(let time, let channels):
      return ["batch_shape": [nil, .integer(time), .integer(channels)], "sparse": false]
    case .gaussianNoise(let deviation):
      return ["stddev": .number(deviation), "seed": nil]
    case .conv1D(let filters, let kernelSize, let dilation, let padding, let l2):
      let own: [String: JSONValue] = [
        "filters": .integer(filters), "kernel_size": [.integer(kernelSize)], "strides": [1],
        "padding": .string(padding.rawValue), "data_format": "channels_last",
        "dilation_rate": [.integer(dilation)], "groups": 1, "activation": "linear",
        "activity_regularizer": nil,
      ]
      return own.merging(kernelAndBias(l2: l2)) { own, _ in own }
    case .dense(let units, let activation, let l2):
      let own: [String: JSONValue] = [
        "units": .integer(units), "activation": .string(activation.rawValue),
      ]
      return own.merging(kernelAndBias(l2: l2)) { own, _ in own }
    case .batchNormalization(let momentum, let epsilon):
      var own = scaleAndCenter(epsilon: epsilon)
      own["axis"] = -1
      own["momentum"] = .number(momentum)
      own["moving_mean_initializer"] = Self.initializer("Zeros")
      own["moving_variance_initializer"] = Self.initializer("Ones")
      own["synchronized"] = false
      return own
    case .layerNormalization(let epsilon):
      var own = scaleAndCenter(epsilon: epsilon)
      own["axis"] = [-1]
      own["rms_scaling"] = false
      return own
    case .relu: return ["activation": "relu"]
    case .concatenate: return ["axis": -1]
    case .dropout(let rate):
      return ["rate": .number(rate), "seed": nil, "noise_shape": nil]
    case .globalAveragePooling1D: return ["data_format": "channels_last", "keepdims": false]
    case .reshapeToSequence:
      let channels = layer.inputs.first.flatMap { network.shapes[$0].last } ?? 0
      return ["target_shape": [1, .integer(channels)]]
    case .multiply, .add: return [:]
    case .multiHeadAttention(let heads, let keySize, let dropout):
      let own: [String: JSONValue] = [
        "num_heads": .integer(heads), "key_dim": .integer(keySize), "value_dim": .integer(keySize),
        "dropout": .number(dropout), "output_shape": nil, "attention_axes": nil,
        "activity_regularizer": nil, "seed": nil,
      ]
      return own.merging(kernelAndBias(l2: 0)) { own, _ in own }
    case .maxPooling1D(let size):
      return [
        "pool_size": [.integer(size)], "strides": [.integer(size)], "padding": "valid",
        "data_format": "channels_last",
      ]
    }
  }

  private func kernelAndBias(l2: Float) -> [String: JSONValue] {
    [
      "use_bias": true, "kernel_initializer": Self.initializer("GlorotUniform", ["seed": nil]),
      "bias_initializer": Self.initializer("Zeros"),
      "kernel_regularizer": l2 > 0
        ? Self.object("L2", in: "keras.regularizers", ["l2": .number(l2)]) : nil,
      "bias_regularizer": nil, "kernel_constraint": nil, "bias_constraint": nil,
    ]
  }

  private func scaleAndCenter(epsilon: Float) -> [String: JSONValue] {
    [
      "epsilon": .number(epsilon), "center": true, "scale": true,
      "beta_initializer": Self.initializer("Zeros"), "gamma_initializer": Self.initializer("Ones"),
      "beta_regularizer": nil, "gamma_regularizer": nil, "beta_constraint": nil,
      "gamma_constraint": nil,
    ]
  }

  private static func initializer(_ name: String, _ config: JSONValue = [:]) -> JSONValue {
    object(name, in: "keras.initializers", config)
  }

  private static func object(_ className: String, in module: String, _ config: JSONValue)
    -> JSONValue
  {
    [
      "module": .string(module), "class_name": .string(className), "config": config,
      "registered_name": nil,
    ]
  }

  // MARK: Training

  private func compileConfig(_ training: TrainingSettings) -> JSONValue {
    [
      "optimizer": Self.object(
        "Adam", in: "keras.optimizers",
        [
          "name": "adam", "learning_rate": Self.learningRate(training.learningRate),
          "weight_decay": nil, "clipnorm": nil, "global_clipnorm": nil, "clipvalue": nil,
          "use_ema": false, "ema_momentum": .number(Float(0.99)), "ema_overwrite_frequency": nil,
          "loss_scale_factor": nil, "gradient_accumulation_steps": nil,
          "beta_1": .number(training.beta1), "beta_2": .number(training.beta2),
          "epsilon": .number(training.epsilon), "amsgrad": false,
        ]),
      "loss": Self.object(
        "CategoricalCrossentropy", in: "keras.losses",
        [
          "name": "categorical_crossentropy", "reduction": "sum_over_batch_size",
          "from_logits": false, "label_smoothing": .number(training.labelSmoothing), "axis": -1,
        ]),
      "loss_weights": nil, "metrics": ["accuracy"], "weighted_metrics": nil,
      "run_eagerly": false, "steps_per_execution": 1, "jit_compile": "auto",
    ]
  }

  private static func learningRate(_ rate: TrainingSettings.LearningRate) -> JSONValue {
    switch rate {
    case .constant(let value): return .number(value)
    case .cosineDecayRestarts(let initial, let firstDecaySteps, let tMul, let mMul, let alpha):
      return object(
        "CosineDecayRestarts", in: "keras.optimizers.schedules",
        [
          "initial_learning_rate": .number(initial),
          "first_decay_steps": .integer(firstDecaySteps), "t_mul": .number(tMul),
          "m_mul": .number(mMul), "alpha": .number(alpha), "name": "SGDRDecay",
        ])
    }
  }
}
