import Compute
import ComputeCases
import ComputeReference

/// A brief check of a device before it is trusted with a training: every operation once or twice,
/// at small awkward shapes, alone and as the device fuses them, against the reference. Miscompiling
/// drivers are common.
public enum SelfCheck {
  /// Cases of `OperationCase.awkward` that run every operation of the list: for each the first case
  /// with a partial batch, else the first one; and the attention with the mean after it, which has
  /// kernels of its own.
  static let cases: [OperationCase] = {
    let ordered =
      OperationCase.awkward.filter { $0.live < $0.capacity }
      + OperationCase.awkward.filter { $0.live == $0.capacity }
    var covered: Set<Operation.Kind> = []
    var hasAttentionMean = false
    return ordered.filter { subject in
      let kinds = subject.operations.map(\.kind)
      defer { covered.formUnion(kinds) }
      if subject.family == .attentionMean, !hasAttentionMean {
        hasAttentionMean = true
        return true
      }
      return !covered.isSuperset(of: kinds)
    }
  }()

  /// Two of `cases` for a look in passing: a batch gathered from what is uploaded, and a product.
  static let briefCases: [OperationCase] = [
    Operation.Kind.gatherWindows, .conv1DForward,
  ].compactMap { kind in
    cases.first { $0.operations.contains { $0.kind == kind } }
  }

  /// - Parameter isBrief: a case or two in place of all.
  /// - Returns: what the device computed wrongly or could not run; empty where it passes.
  public static func failures(of device: any Device, isBrief: Bool = false) -> [ParityResult] {
    let reference = ReferenceDevice()
    return (isBrief ? briefCases : cases).flatMap {
      ParitySubject($0, reference: reference).results(on: device)
    }.filter { !$0.passes }
  }
}
