import Compute

/// A small plan of one operation, forward and backward, or of a few that a device may fuse, with the
/// inputs it is to be run on: what tests, the self-check of a device and its benchmark have in
/// common. Everything about it follows from its name and shapes; it holds no recorded values.
public struct OperationCase: Sendable, CustomStringConvertible {
  /// A tensor that a scalar objective depends on, with the tensor of the objective's gradient.
  public struct Pair: Sendable, Hashable {
    public var value: TensorID
    public var gradient: TensorID
  }

  /// What a case is about.
  public enum Family: String, Sendable, CaseIterable {
    case conv1D = "conv1d"
    case dense
    case batchNorm = "batch norm"
    case batchNormInference = "batch norm inference"
    case layerNorm = "layer norm"
    case relu, sigmoid, dropout
    case gaussianNoise = "gaussian noise"
    case add, concatenate
    case scaleChannels = "scale channels"
    case meanOverTime = "mean over time"
    case maxPool = "max pool"
    case averagePool = "average pool"
    case attention
    case attentionMean = "attention and mean"
    case softmax
    case crossEntropy = "cross-entropy"
    case adam, gather
    case normBlock = "norm block"
    case normBlockInference = "norm block inference"
    case squeezeBlock = "squeeze block"
    case squeezeBlockInference = "squeeze block inference"
    case gradientSum = "gradient sum"
    case kernelGradients = "kernel gradients"
    case head
  }

  /// What is special about the values of a case.
  public enum Tag: Sendable, Hashable {
    /// Random elements are left out.
    case dropsOut
    /// Scores that are far apart, to try their range.
    case highContrast
    /// Results that are zero by algebra: nothing but rounding is left of them.
    case cancels
  }

  public enum Axis: Sendable, Hashable {
    case time, channels
  }

  public let family: Family
  /// The family, or more of what comes before the sizes.
  public let title: String
  /// In words, for reports.
  public let sizes: String
  /// Sizes of the tensor that the case is about, where it has these axes.
  public let axes: [Axis: Int]
  public let tags: Set<Tag>
  /// Unique among the cases: title and sizes, for reports; the values of the inputs depend on it.
  public let name: String
  public let plan: Plan
  public let program: ProgramID
  /// Samples that are run; below the capacity in many cases.
  public let live: Int
  /// What the host writes before the run.
  public let fills: [TensorID: Fill]
  /// Step of the table that is run.
  public let step: Int
  public let table: EpochTable?
  public let dataset: Dataset?
  /// Outputs with the gradients that the backward operations are given for them: the objective is
  /// Σ output·gradient, or the loss where there are none.
  public let outputs: [Pair]
  /// Inputs with the gradients that the backward operations compute.
  public let inputs: [Pair]
  /// False where finite differences make no sense: ties, or no backward operation.
  public let isDifferentiable: Bool

  public var description: String { name }
  public var capacity: Int { plan.programs[program]?.capacity ?? live }
  public var operations: [Operation] { plan.programs[program]?.operations ?? [] }

  /// Loads the plan, writes the inputs and uploads dataset and table: ready to run.
  public func load(
    on device: any Device, fuses: Bool = false, seed: UInt64 = 42
  ) throws(DeviceError) -> any LoadedPlan {
    let loaded = try device.load(
      plan,
      options: LoadOptions(
        programs: [program], liveBatches: [program: [live]], fuses: fuses,
        keepsActivations: true, seed: seed))
    for (id, values) in inputValues() { try loaded.write(values, to: id) }
    if let table, let dataset {
      var placed = table
      placed.dataset = try loaded.upload(dataset)
      try loaded.upload(placed, for: program)
    }
    return loaded
  }

  /// The values of every input tensor, in the order of the tensors.
  public func inputValues() -> [(TensorID, [Float])] {
    fills.sorted { $0.key < $1.key }.map { id, fill in
      let spec = plan[id]
      return (id, fill.values(name: "\(name)/\(spec.name)", count: spec.elementCount))
    }
  }
}

/// Collects the tensors and operations of a case.
struct CaseBuilder {
  let capacity: Int
  private(set) var tensors: [TensorSpec] = []
  private(set) var fills: [TensorID: Fill] = [:]
  private var hostInputs: [TensorID] = []
  private var hostOutputs: [TensorID] = []
  private var outputs: [OperationCase.Pair] = []
  private var inputs: [OperationCase.Pair] = []
  var operations: [Operation] = []
  var table: EpochTable?
  var dataset: Dataset?
  var step = 0
  var isDifferentiable = true

  init(capacity: Int) { self.capacity = capacity }

  private mutating func add(
    _ name: String, _ shape: [Int], batched: Bool, role: TensorSpec.Role,
    type: ElementType = .float32
  ) -> TensorID {
    tensors.append(
      TensorSpec(
        name: name, shape: batched ? [capacity] + shape : shape, hasBatchAxis: batched,
        role: role, elementType: type))
    return TensorID(index: tensors.count - 1)
  }

  /// An activation that the host writes, without a gradient of its own.
  mutating func given(
    _ name: String, _ shape: [Int], _ fill: Fill, batched: Bool = true,
    type: ElementType = .float32
  ) -> TensorID {
    let id = add(name, shape, batched: batched, role: .activation, type: type)
    fills[id] = fill
    hostInputs.append(id)
    return id
  }

  /// An activation that the host writes and the backward operations differentiate by.
  mutating func input(
    _ name: String, _ shape: [Int], _ fill: Fill = .uniform(1)
  ) -> OperationCase.Pair {
    let value = given(name, shape, fill)
    let gradient = add("\(name)_gradient", shape, batched: true, role: .activation)
    hostOutputs.append(gradient)
    inputs.append(OperationCase.Pair(value: value, gradient: gradient))
    return OperationCase.Pair(value: value, gradient: gradient)
  }

  /// A weight with its gradient.
  mutating func parameter(_ name: String, _ shape: [Int], _ fill: Fill) -> OperationCase.Pair {
    let value = add(name, shape, batched: false, role: .parameter)
    let gradient = add("\(name)_gradient", shape, batched: false, role: .gradient)
    fills[value] = fill
    inputs.append(OperationCase.Pair(value: value, gradient: gradient))
    return OperationCase.Pair(value: value, gradient: gradient)
  }

  /// A lasting tensor that the host writes.
  mutating func lasting(
    _ name: String, _ shape: [Int], _ role: TensorSpec.Role, _ fill: Fill
  ) -> TensorID {
    let id = add(name, shape, batched: false, role: role)
    fills[id] = fill
    return id
  }

  /// An activation that the operations write.
  mutating func activation(
    _ name: String, _ shape: [Int], batched: Bool = true, type: ElementType = .float32
  ) -> TensorID {
    add(name, shape, batched: batched, role: .activation, type: type)
  }

  /// A result, with the gradient that the host gives for it.
  mutating func output(_ name: String, _ shape: [Int]) -> OperationCase.Pair {
    let value = add(name, shape, batched: true, role: .activation)
    hostOutputs.append(value)
    let gradient = given("\(name)_gradient", shape, .uniform(1))
    outputs.append(OperationCase.Pair(value: value, gradient: gradient))
    return OperationCase.Pair(value: value, gradient: gradient)
  }

  /// A result that has no gradient.
  mutating func plainOutput(
    _ name: String, _ shape: [Int], type: ElementType = .float32
  ) -> TensorID {
    let id = add(name, shape, batched: true, role: .activation, type: type)
    hostOutputs.append(id)
    return id
  }

  /// - Parameters:
  ///   - title: what stands in the place of the family's name.
  ///   - isList: whether the sizes are separated from the title by a comma.
  func build(
    _ family: OperationCase.Family, title: String? = nil, _ sizes: String, isList: Bool = false,
    axes: [OperationCase.Axis: Int] = [:], tags: Set<OperationCase.Tag> = [], live: Int,
    program: ProgramID = .forwardBackward
  ) -> OperationCase {
    let title = title ?? family.rawValue
    let name = title + (isList ? ", " : " ") + sizes
    let plan = Plan(
      name: name, tensors: tensors,
      programs: [
        Program(
          id: program, capacity: capacity, operations: operations, inputs: hostInputs,
          outputs: hostOutputs)
      ])
    return OperationCase(
      family: family, title: title, sizes: sizes, axes: axes, tags: tags, name: name, plan: plan,
      program: program, live: live, fills: fills, step: step,
      table: table, dataset: dataset, outputs: outputs, inputs: inputs,
      isDifferentiable: isDifferentiable)
  }
}
