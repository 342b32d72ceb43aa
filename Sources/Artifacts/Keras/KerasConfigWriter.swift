import Networks

/// A network and how it was compiled as Keras's `config.json`, with keys that Keras 3.5 knows.
struct KerasConfigWriter {
  let network: Network
  /// Layers in Keras's order.
  let order: [Int]
  let training: TrainingSettings?

  func config() -> JSONValue {
    let inputName = network.layers.last { $0.kind is Layers.Input }?.name ?? ""
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
    var settings = layer.kind.settings(layer.inputs.map { network.shapes[$0] })
    settings["name"] = .string(layer.name)
    if layer.kind is Layers.Input {
      settings["dtype"] = "float32"
    } else {
      settings["trainable"] = true
      settings["dtype"] = .keras("DTypePolicy", in: "keras", ["name": "float32"])
    }
    return [
      "module": "keras.layers", "class_name": .string(type(of: layer.kind).classNames[0]),
      "registered_name": nil, "name": .string(layer.name), "config": .object(settings),
      "inbound_nodes": inboundNodes(of: layer),
    ]
  }

  private func inboundNodes(of layer: Layer) -> JSONValue {
    let tensors = layer.inputs.map(tensor)
    guard !tensors.isEmpty else { return [] }
    let arguments: [JSONValue] =
      switch type(of: layer.kind).callForm {
      case .arguments: tensors
      case .list: [.array(tensors)]
      case .twice: tensors + tensors
      }
    return [["args": .array(arguments), "kwargs": [:]]]
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

  // MARK: Training

  private func compileConfig(_ training: TrainingSettings) -> JSONValue {
    [
      "optimizer": .keras(
        "Adam", in: "keras.optimizers",
        [
          "name": "adam", "learning_rate": Self.learningRate(training.learningRate),
          "weight_decay": nil, "clipnorm": nil, "global_clipnorm": nil, "clipvalue": nil,
          "use_ema": false, "ema_momentum": .number(Float(0.99)), "ema_overwrite_frequency": nil,
          "loss_scale_factor": nil, "gradient_accumulation_steps": nil,
          "beta_1": .number(training.beta1), "beta_2": .number(training.beta2),
          "epsilon": .number(training.epsilon), "amsgrad": false,
        ]),
      "loss": .keras(
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
      return .keras(
        "CosineDecayRestarts", in: "keras.optimizers.schedules",
        [
          "initial_learning_rate": .number(initial),
          "first_decay_steps": .integer(firstDecaySteps), "t_mul": .number(tMul),
          "m_mul": .number(mMul), "alpha": .number(alpha), "name": "SGDRDecay",
        ])
    }
  }
}
