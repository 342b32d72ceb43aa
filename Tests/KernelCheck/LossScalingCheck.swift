import Compute
import ComputeCases
import ComputeOpenCL

/// What Adam does of gradients that overflow, and how the scale of the loss moves: the part of half
/// precision that no comparison of one launch with the reference sees.
enum LossScalingCheck: DeviceCheck {
  case overflow, growth, smallest, largest

  var name: String {
    switch self {
    case .overflow: "loss scaling, overflow skips the step and halves the scale"
    case .growth: "loss scaling, the scale doubles after 2000 good steps in a row"
    case .smallest: "loss scaling, the scale stays at one or above"
    case .largest: "loss scaling, the scale grows no larger than 2^24"
    }
  }

  func verdict(on device: OpenCLDevice) -> String {
    verdictLine(name) { try found(on: device) }
  }

  private func found(on device: OpenCLDevice) throws -> String? {
    switch self {
    case .overflow:
      for value in [Float.infinity, -.infinity, .nan] {
        for place in [0, 1, 2, 20, 21, 60] {
          var subject = try Subject(device)
          if let problem = try subject.overflow(value, at: place) { return problem }
        }
      }
      return nil
    case .growth:
      var subject = try Subject(device)
      // One overflow in between, after which the count starts anew.
      return try subject.steps(1_999, leaveScale: 65_536)
        ?? subject.overflow(.infinity, at: 3)
        ?? subject.steps(1_999, leaveScale: 32_768)
        ?? subject.steps(1, leaveScale: 65_536)
        ?? subject.steps(1_999, leaveScale: 65_536)
        ?? subject.steps(1, leaveScale: 131_072)
    case .smallest:
      var subject = try Subject(device, lossScale: 1)
      return try subject.overflow(.nan, at: 0) ?? subject.steps(1, leaveScale: 1)
    case .largest:
      var subject = try Subject(device, lossScale: 8_388_608)
      return try subject.steps(2_000, leaveScale: 16_777_216)
        ?? subject.steps(2_000, leaveScale: 16_777_216)
    }
  }

  /// A plan that is nothing but a step of Adam.
  private struct Subject {
    private let loaded: any LoadedPlan
    private let parameters: [TensorID]
    private let gradients: [TensorID]
    private let gradientValues: [[Float]]
    private let program: ProgramID
    private let step: Int
    private var scaling: LossScaling

    init(_ device: OpenCLDevice, lossScale: Float = 65_536) throws(DeviceError) {
      var options = device.options
      options.lossScale = lossScale
      let subject = OperationCase.adam(
        shapes: [[3, 7], [33], [1], [5], [1]], decayed: 2, iteration: 0)
      let loaded = try subject.load(on: OpenCLDevice(device.description, options: options))
      parameters = subject.plan.tensors(role: .parameter)
      let gradients = subject.plan.tensors(role: .gradient)
      self.gradients = gradients
      self.loaded = loaded
      gradientValues = try gradients.map { id throws(DeviceError) in try loaded.read(id) }
      program = subject.program
      step = subject.step
      scaling = LossScaling(scale: lossScale, skippedSteps: 0)
    }

    private func weights() throws(DeviceError) -> [[Float]] {
      try parameters.map { id throws(DeviceError) in try loaded.read(id) }
    }

    private func gap(to expected: LossScaling) throws(DeviceError) -> String? {
      let found = try loaded.lossScaling()
      return found == expected
        ? nil : "\(String(describing: found)) where \(expected) was expected"
    }

    /// A step with one gradient of this value, by its place among all of them.
    mutating func overflow(_ value: Float, at place: Int) throws(DeviceError) -> String? {
      let before = try weights()
      var first = 0
      for (id, values) in zip(gradients, gradientValues) {
        if (first..<first + values.count).contains(place) {
          var broken = values
          broken[place - first] = value
          try loaded.write(broken, to: id)
        }
        first += values.count
      }
      try loaded.run(program, step: step, live: 1)
      for (id, values) in zip(gradients, gradientValues) { try loaded.write(values, to: id) }
      guard try weights() == before else { return "\(value) at \(place) reached the weights" }
      scaling.scale = max(scaling.scale / 2, 1)
      scaling.skippedSteps += 1
      scaling.goodSteps = 0
      return try gap(to: scaling)
    }

    mutating func steps(_ count: Int, leaveScale scale: Float) throws(DeviceError) -> String? {
      scaling.goodSteps = (scaling.goodSteps + count) % 2_000
      var expected = scaling
      expected.scale = scale
      let before = try weights()
      for _ in 0..<count { try loaded.run(program, step: step, live: 1) }
      guard try weights() != before else { return "\(count) good steps moved no weight" }
      return try gap(to: expected)
    }
  }
}
