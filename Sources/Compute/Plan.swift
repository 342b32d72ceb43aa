/// Which of a plan's programs: a training step in two halves, and its inference twins.
public enum ProgramID: String, Sendable, CaseIterable, Hashable {
  /// Gather, forward, loss, backward: leaves gradients and the step's result.
  case forwardBackward
  /// Adam. The cut before it is where an overflow skips a step and where gradients would be reduced
  /// over devices.
  case update
  /// Gather, forward in inference mode, loss without gradients: leaves the step's result and
  /// probabilities.
  case validate
  /// Forward in inference mode from a batch that the host wrote or that is gathered.
  case predict
}

/// A list of operations over a plan's tensors, with a batch capacity of its own.
public struct Program: Sendable {
  public let id: ProgramID
  /// Most samples that one run takes.
  public let capacity: Int
  public let operations: [Operation]
  /// Activations that the host writes before a run: alive from the start.
  public let inputs: [TensorID]
  /// Activations that the host reads after a run: alive to the end.
  public let outputs: [TensorID]

  public init(
    id: ProgramID, capacity: Int, operations: [Operation], inputs: [TensorID] = [],
    outputs: [TensorID] = []
  ) {
    self.id = id
    self.capacity = capacity
    self.operations = operations
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// Tensors and the programs over them: all that a device needs to know of a network. Static shapes;
/// parameters and statistics are shared by the programs, activations belong to one program each.
public struct Plan: Sendable {
  public let name: String
  public let tensors: [TensorSpec]
  public let programs: [ProgramID: Program]

  public init(name: String, tensors: [TensorSpec], programs: [Program]) {
    precondition(
      Set(tensors.map(\.name)).count == tensors.count, "tensor names of a plan are unique")
    self.name = name
    self.tensors = tensors
    self.programs = Dictionary(uniqueKeysWithValues: programs.map { ($0.id, $0) })
    for program in programs {
      for operation in program.operations {
        for id in operation.reads + operation.writes {
          precondition(
            tensors.indices.contains(id.index), "\(operation.name) uses an unknown tensor")
        }
      }
    }
  }

  public subscript(id: TensorID) -> TensorSpec { tensors[id.index] }

  /// All tensors of a role, in the plan's order: the order of their arena.
  public func tensors(role: TensorSpec.Role) -> [TensorID] {
    tensors.indices.filter { tensors[$0].role == role }.map(TensorID.init(index:))
  }

  public func tensor(named name: String) -> TensorID? {
    tensors.firstIndex { $0.name == name }.map(TensorID.init(index:))
  }
}
