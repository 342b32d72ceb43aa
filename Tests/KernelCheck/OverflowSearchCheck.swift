import Compute
import ComputeCases
import ComputeOpenCL

/// Gradients that overflow, wherever in a step they are made: the launch that adds up the last of them
/// looks through those that others have left, too, so that the update need not.
enum OverflowSearchCheck: DeviceCheck {
  case step

  var name: String { "loss scaling, a step finds what overflows of its own gradients" }

  func verdict(on device: OpenCLDevice) -> String {
    verdictLine(name) {
      let subject = try Subject(device)
      var scaling = LossScaling(scale: 65_536, skippedSteps: 0)
      guard try subject.moves() else { return "a good step moved no weight" }
      for (tensor, place, value) in subject.places {
        try subject.write(to: tensor, place, value)
        if try subject.moves() { return "\(value) at \(place) reached the weights" }
        try subject.write(to: tensor)
        (scaling.scale, scaling.skippedSteps) = (scaling.scale / 2, scaling.skippedSteps + 1)
        let found = try subject.loaded.lossScaling()
        if found != scaling { return "\(String(describing: found)) where it should be \(scaling)" }
        guard try subject.moves() else { return "no weight moved in the step after \(place)" }
      }
      return nil
    }
  }

  /// The gradients of a convolution, which are sums of parts, and of a dense layer, which are not,
  /// behind a loss.
  private struct Subject {
    /// More than a group looks through.
    private static let inputs = 5_000
    private static let convolution = Conv1DShape(
      time: 40, inputChannels: 8, outputChannels: 16, taps: 3)

    let loaded: any LoadedPlan
    private let parameters: [TensorID]
    private let values: [TensorID: [Float]]
    /// What makes one gradient overflow, or one channel's.
    let places: [(TensorID, Int, Float)]

    init(_ device: OpenCLDevice) throws(DeviceError) {
      var tensors: [TensorSpec] = []
      func add(
        _ name: String, _ shape: [Int], _ role: TensorSpec.Role = .activation
      ) -> TensorID {
        tensors.append(
          TensorSpec(name: name, shape: shape, hasBatchAxis: role == .activation, role: role))
        return TensorID(index: tensors.count - 1)
      }
      let (shape, live) = (Self.convolution, 2)
      let sizes = [[1], [3, 8, 16], [16], [Self.inputs, 1]]
      func list(_ name: String, _ role: TensorSpec.Role) -> [TensorID] {
        sizes.enumerated().map { add("\(name)_\($0)", $1, role) }
      }
      parameters = list("parameter", .parameter)
      let gradients = list("gradient", .gradient)
      let adam = Operation.adam(
        Adam(
          AdamSettings(l2: 0), decayed: 0, parameters: parameters, gradients: gradients,
          firstMoments: list("first_moment", .firstMoment),
          secondMoments: list("second_moment", .secondMoment)))
      let (logits, targets) = (add("logits", [live, 2]), add("targets", [live, 2]))
      let weights = add("weights", [live])
      let (probabilities, logitsGradient) = (
        add("probabilities", [live, 2]), add("logits_gradient", [live, 2])
      )
      let (a, g) = (add("a", [live, Self.inputs]), add("g", [live, 1]))
      let (x, dy) = (
        add("x", [live, shape.time, shape.inputChannels]),
        add("dy", [live, shape.time, shape.outputChannels])
      )
      let operations: [Operation] = [
        .softmaxCrossEntropy(
          SoftmaxCrossEntropy(
            LossShape(classes: 2, smoothing: 0), logits: logits, targets: targets,
            sampleWeights: weights, probabilities: probabilities, logitsGradient: logitsGradient)),
        .denseBackwardKernel(
          DenseBackwardKernel(
            DenseShape(inputs: Self.inputs, outputs: 1), input: a, outputGradient: g,
            kernelGradient: gradients[3], biasGradient: gradients[0])),
        .conv1DBackwardKernel(
          Conv1DBackwardKernel(
            shape, input: x, outputGradient: dy, kernelGradient: gradients[1],
            biasGradient: gradients[2])),
      ]
      let inputs = [logits, targets, weights, a, g, x, dy]
      let plan = Plan(
        name: "overflows", tensors: tensors,
        programs: [
          Program(
            id: .forwardBackward, capacity: live, operations: operations, inputs: inputs,
            outputs: [probabilities, logitsGradient]),
          Program(id: .update, capacity: live, operations: [adam]),
        ])
      loaded = try device.load(
        plan,
        options: LoadOptions(
          programs: [.forwardBackward, .update],
          liveBatches: [.forwardBackward: [live], .update: [live]], keepsActivations: true))
      var values: [TensorID: [Float]] = [:]
      for id in parameters + inputs {
        let spec = plan[id]
        values[id] = SeededValues.uniform(name: spec.name, count: spec.elementCount)
        try loaded.write(values[id] ?? [], to: id)
      }
      self.values = values
      places =
        [0, 4_095, 4_096, Self.inputs - 1].map { (a, $0, .infinity) } + [
          (x, 0, .nan), (x, shape.inputChannels - 1, -.infinity), (dy, 0, .infinity),
          (dy, shape.outputChannels - 1, .infinity),
        ]
      let dataset = try loaded.upload(
        Dataset(samples: [0], channels: 1, windowStarts: [0], labels: [0]))
      try loaded.upload(
        EpochTable(dataset: dataset, samples: [SampleEntry(window: 0)], learningRates: [0.1]),
        for: .update)
    }

    /// Writes a tensor's values, one of them another.
    func write(to tensor: TensorID, _ place: Int = 0, _ value: Float? = nil) throws(DeviceError) {
      guard var values = values[tensor] else { return }
      if let value { values[place] = value }
      try loaded.write(values, to: tensor)
    }

    /// Whether a step changes the weights.
    func moves() throws(DeviceError) -> Bool {
      let before = try weights()
      try loaded.run(.forwardBackward, step: 0, live: 2)
      try loaded.run(.update, step: 0, live: 2)
      return try weights() != before
    }

    private func weights() throws(DeviceError) -> [[Float]] {
      try parameters.map { id throws(DeviceError) in try loaded.read(id) }
    }
  }
}
