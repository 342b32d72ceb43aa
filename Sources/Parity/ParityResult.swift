import Compute

/// What one case found: a small plan, a program of a network, or a training curve, run on a device
/// and on what it is compared with.
public struct ParityResult: Sendable {
  /// What was run: `conv1d same`, `inception-se forward_backward, fused`.
  public let name: String
  /// Its sizes, in words.
  public let shape: String
  /// Error of the worst tensor, by its share of the bound; nil where the device gave no values.
  public let error: Double?
  /// Largest error of that tensor that passes.
  public let bound: Double?
  /// The launch and the tensor that `error` is of: `conv1d_forward output`.
  public let worst: String
  /// A sentence for everything that is wrong; none where the case passes.
  public let misses: [String]

  public var passes: Bool { misses.isEmpty }

  /// The same under a longer name.
  public func prefixed(_ prefix: String) -> ParityResult {
    ParityResult(
      name: prefix + name, shape: shape, error: error, bound: bound, worst: worst, misses: misses)
  }

  init(
    name: String, shape: String, error: Double? = nil, bound: Double? = nil, worst: String = "",
    misses: [String] = []
  ) {
    self.name = name
    self.shape = shape
    self.error = error
    self.bound = bound
    self.worst = worst
    self.misses = misses
  }

  /// The result of comparing launch by launch.
  init(name: String, shape: String, launches: [LaunchComparison]) {
    let tensors = launches.flatMap { launch in launch.tensors.map { (launch.launch.name, $0) } }
    let worst = tensors.max { $0.1.share < $1.1.share }
    self.init(
      name: name, shape: shape, error: worst?.1.error, bound: worst?.1.bound,
      worst: worst.map { "\($0.0) \($0.1.tensor)" } ?? "",
      misses: tensors.filter { !$0.1.passes }.map { "\($0.0) \($0.1.reason)" })
  }
}

extension TensorComparison {
  /// The error as a share of the bound; infinite where no number says how wrong it is.
  fileprivate var share: Double {
    guard damage == nil, error.isFinite else { return .infinity }
    return error == 0 ? 0 : error / bound
  }

  fileprivate var reason: String {
    if let damage { return "\(tensor): \(damage)" }
    guard error.isFinite else {
      return "\(tensor): elements are missing or no numbers, of \(elementCount)"
    }
    return "\(tensor): error \(error), bound \(bound), of \(elementCount) elements"
  }
}
