import Networks

/// What `compile_config` says, as far as we train so: Adam and categorical cross-entropy. Anything
/// else is no reason to refuse a model that can predict; it is noted.
struct CompileConfigReader {
  private(set) var training: TrainingSettings?
  /// The optimizer's variables are those of Adam.
  private(set) var isAdam = false
  private(set) var notes: [String] = []

  init(_ config: JSONValue?) {
    guard let config, config.object?.isEmpty == false else { return }
    guard let adam = readOptimizer(config["optimizer"]) else { return }
    isAdam = true
    // An optimizer that was named, `"adam"`, has Keras's own settings.
    let given = adam == .null ? .number(1e-3) : adam["learning_rate"]
    guard let rate = learningRate(given) else {
      notes.append("Its learning rate is computed in a way that is unknown here and was left out.")
      return
    }
    guard let smoothing = smoothing(config["loss"]) else {
      notes.append("It was compiled with another loss than categorical cross-entropy.")
      return
    }
    training = TrainingSettings(
      learningRate: rate, labelSmoothing: smoothing, beta1: float(adam["beta_1"]) ?? 0.9,
      beta2: float(adam["beta_2"]) ?? 0.999, epsilon: float(adam["epsilon"]) ?? 1e-7)
  }

  /// Adam's own settings, out of a loss-scale optimizer where there is one.
  private mutating func readOptimizer(_ value: JSONValue?) -> JSONValue? {
    var optimizer = value
    if optimizer?["class_name"] == "LossScaleOptimizer" {
      optimizer = optimizer?["config"]?["inner_optimizer"]
    }
    let name = optimizer?["class_name"]?.string ?? optimizer?.string ?? "none"
    // Keras takes a name in any case.
    let isAdam = name == "Adam" || optimizer?.string?.lowercased() == "adam"
    guard isAdam, optimizer?.string != nil || optimizer?.isOfKeras == true else {
      notes.append("Its optimizer is not Adam but \(name): the optimizer's state was left out.")
      return nil
    }
    let config = optimizer?["config"] ?? .null
    for key in [
      "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema",
      "gradient_accumulation_steps", "amsgrad",
    ] {
      if let value = config[key], !value.isUnset {
        notes.append(
          "Its Adam is set to \(key) = \(value.brief), which is unknown here: "
            + "the optimizer's state was left out.")
        return nil
      }
    }
    return config
  }

  private func learningRate(_ value: JSONValue?) -> TrainingSettings.LearningRate? {
    if let rate = float(value) { return .constant(rate) }
    guard value?["class_name"] == "CosineDecayRestarts", let config = value?["config"],
      let initial = float(config["initial_learning_rate"]),
      let steps = config["first_decay_steps"]?.double, (1...1e15).contains(steps)
    else { return nil }
    return .cosineDecayRestarts(
      initial: initial, firstDecaySteps: Int(steps), tMul: float(config["t_mul"]) ?? 2,
      mMul: float(config["m_mul"]) ?? 1, alpha: float(config["alpha"]) ?? 0)
  }

  private func smoothing(_ loss: JSONValue?) -> Float? {
    if loss == "categorical_crossentropy" { return 0 }
    guard loss?["class_name"] == "CategoricalCrossentropy" else { return nil }
    return float(loss?["config"]?["label_smoothing"]) ?? 0
  }

  private func float(_ value: JSONValue?) -> Float? {
    value?.double.flatMap { $0.isFinite && abs($0) < 1e30 ? Float($0) : nil }
  }
}
