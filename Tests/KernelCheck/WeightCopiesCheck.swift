import Compute
import ComputeCases
import ComputeOpenCL

/// The halves of weights that kernels on tensor cores read: Adam writes them with the weights, and
/// they are copied anew where somebody else wrote those. What comes of either is to be the same bits.
enum WeightCopiesCheck: DeviceCheck {
  case adam

  var name: String { "weights in halves, as Adam writes them and as they are copied" }

  func verdict(on device: OpenCLDevice) -> String {
    verdictLine(name) {
      let subject = try Subject(device)
      let before = try subject.outputs()
      try subject.loaded.run(.update, step: 0, live: 1)
      let after = try subject.outputs()
      // Written by the host, weights are copied again before they are read.
      for id in subject.plan.tensors(role: .parameter) {
        try subject.loaded.write(try subject.loaded.read(id), to: id)
      }
      let copied = try subject.outputs()
      for index in before.indices {
        let name = subject.plan[subject.results[index]].name
        if after[index] == before[index] { return "a step of Adam did not move \(name)" }
        if after[index] != copied[index] { return "\(name) differs by who wrote the copies" }
        if !after[index].allSatisfy(\.isFinite) { return "\(name) is not finite" }
      }
      return nil
    }
  }

  /// Convolutions between whose weights lie others that have no copies, and a step of Adam for all.
  private struct Subject {
    private static let time = 11
    private static let shapes = [
      Conv1DShape(time: time, inputChannels: 8, outputChannels: 16, taps: 3),
      Conv1DShape(time: time, inputChannels: 16, outputChannels: 24, taps: 5, dilation: 2),
      Conv1DShape(time: time, inputChannels: 24, outputChannels: 8, taps: 1),
    ]

    let plan: Plan
    let loaded: any LoadedPlan
    let results: [TensorID]

    init(_ device: OpenCLDevice) throws(DeviceError) {
      var tensors: [TensorSpec] = []
      func add(
        _ name: String, _ shape: [Int], _ role: TensorSpec.Role, batched: Bool = false
      ) -> TensorID {
        tensors.append(TensorSpec(name: name, shape: shape, hasBatchAxis: batched, role: role))
        return TensorID(index: tensors.count - 1)
      }
      // Sizes at which pieces end within Adam's work-groups and between them.
      var weights: [[Int]] = [[5]]
      for shape in Self.shapes {
        weights += [
          [shape.taps, shape.inputChannels, shape.outputChannels], [shape.outputChannels],
        ]
      }
      weights += [[300], [1]]
      func list(_ name: String, _ role: TensorSpec.Role) -> [TensorID] {
        weights.enumerated().map { add("\(name)_\($0)", $1, role) }
      }
      let parameters = list("parameter", .parameter)
      let gradients = list("gradient", .gradient)
      let adam = Operation.adam(
        Adam(
          AdamSettings(l2: 1e-4), decayed: 2, parameters: parameters, gradients: gradients,
          firstMoments: list("first_moment", .firstMoment),
          secondMoments: list("second_moment", .secondMoment)))
      var layers = [add("input", [2, Self.time, 8], .activation, batched: true)]
      var operations: [Operation] = []
      for (index, shape) in Self.shapes.enumerated() {
        let output = add(
          "output_\(index)", [2, Self.time, shape.outputChannels], .activation, batched: true)
        operations.append(
          .conv1DForward(
            Conv1DForward(
              shape, input: layers[index], kernel: parameters[1 + 2 * index],
              bias: parameters[2 + 2 * index], output: output)))
        layers.append(output)
      }
      results = Array(layers.dropFirst())
      plan = Plan(
        name: "weights in halves", tensors: tensors,
        programs: [
          Program(
            id: .forwardBackward, capacity: 2, operations: operations, inputs: [layers[0]],
            outputs: results),
          Program(id: .update, capacity: 1, operations: [adam]),
        ])
      loaded = try device.load(
        plan,
        options: LoadOptions(
          programs: [.forwardBackward, .update],
          liveBatches: [.forwardBackward: [2], .update: [1]], keepsActivations: true))
      for id in parameters + gradients + [layers[0]] {
        let spec = plan[id]
        try loaded.write(
          SeededValues.uniform(name: spec.name, count: spec.elementCount), to: id)
      }
      let dataset = try loaded.upload(
        Dataset(samples: [0], channels: 1, windowStarts: [0], labels: [0]))
      try loaded.upload(
        EpochTable(dataset: dataset, samples: [SampleEntry(window: 0)], learningRates: [0.1]),
        for: .update)
    }

    /// What the convolutions make of the input.
    func outputs() throws(DeviceError) -> [[Float]] {
      try loaded.run(.forwardBackward, step: 0, live: 2)
      return try results.map { id throws(DeviceError) in try loaded.read(id) }
    }
  }
}
