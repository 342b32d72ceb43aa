import Compute
import ComputeCases
import ComputeReference

/// A brief check of a device before it is trusted with a training: every operation once or twice,
/// at small awkward shapes, alone and as the device fuses them, against the reference. Drivers that
/// compile a kernel wrongly are no rarity.
public enum SelfCheck {
  /// Cases of `OperationCase.awkward` that run every operation of the list: for each the first case
  /// with a partial batch, else the first one; and the attention with the mean after it, which has
  /// kernels of its own.
  static let cases: [OperationCase] = {
    let ordered =
      OperationCase.awkward.filter { $0.live < $0.capacity }
      + OperationCase.awkward.filter { $0.live == $0.capacity }
    var covered: Set<String> = []
    return ordered.filter { subject in
      let names = subject.plan.programs[subject.program]?.operations.map(\.name) ?? []
      defer { covered.formUnion(names) }
      if subject.name.hasPrefix("attention and mean"), !covered.contains("attention and mean") {
        covered.insert("attention and mean")
        return true
      }
      return !covered.isSuperset(of: names)
    }
  }()

  /// Two of `cases` for a look in passing: a batch gathered from what is uploaded, and a product.
  static let briefCases: [OperationCase] = ["gather_windows", "conv1d_forward"].compactMap { name in
    cases.first { subject in
      subject.plan.programs[subject.program]?.operations.contains { $0.name == name } == true
    }
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
