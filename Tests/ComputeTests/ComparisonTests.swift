import ComputeCases
import ComputeReference
import TestSupport
import Testing

@testable import Compute

@Suite struct ComparisonTests {
  /// Reads beyond the live slots, writes beyond them and elements left out would all show here.
  @Test(arguments: OperationCase.awkward)
  func theReferenceEqualsItself(on subject: OperationCase) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: ReferenceDevice()), program: subject.program,
      step: subject.step, live: subject.live)
    #expect(report.count == subject.plan.programs[subject.program]?.operations.count)
    for launch in report {
      #expect(launch.passes, "\(launch)")
      for tensor in launch.tensors {
        #expect(tensor.error == 0 && tensor.bound.isFinite)
      }
    }
  }

  @Test func caseNamesAreUnique() {
    let names = (OperationCase.awkward + OperationCase.models(batch: 2)).map(\.name)
    let repeated = Dictionary(grouping: names) { $0 }.filter { $1.count > 1 }.keys
    #expect(repeated.isEmpty)
  }

  @Test func everyOperationHasACaseAtBothSizes() {
    for cases in [OperationCase.awkward, OperationCase.models(batch: 2)] {
      let kinds = Set(cases.flatMap { $0.operations.map(\.kind) })
      let missing = Set(Operation.Kind.allCases).subtracting(kinds)
      #expect(missing.isEmpty, "\(missing)")
    }
  }

  @Test(arguments: [
    Fault.wrongElement, .unwrittenElement, .writesBeyondLive, .readsBeyondLive, .ignoresStep,
  ])
  func aFaultyDeviceIsFound(fault: Fault) throws {
    let subject = OperationCase.dropout(elements: 999, rate: 0.25, capacity: 3, live: 2)
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: FaultyDevice(fault: fault)), program: subject.program,
      step: subject.step, live: subject.live)
    #expect(!report[0].passes, "\(report[0])")
    #expect((report[0].tensors[0].damage != nil) == (fault == .writesBeyondLive))
  }

  /// Outputs rounded to eight bits, as in bfloat16, are caught in every operation, however long its
  /// sums; save where the result is zero by algebra: one channel's layer norm, the key bias. Scores
  /// of high contrast are there for their range: they choose one step of each row, and what is left
  /// of the gradients is small beside its terms.
  @Test(
    arguments: OperationCase.awkward.filter {
      $0.tags.isDisjoint(with: [.cancels, .highContrast])
    })
  func aDeviceOfReducedPrecisionIsFound(on subject: OperationCase) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: FaultyDevice(fault: .reducedPrecision)),
      program: subject.program, step: subject.step, live: subject.live)
    for launch in report {
      for tensor in launch.tensors where tensor.error > 1e-12 && tensor.elementCount > 4 {
        #expect(!tensor.passes, "\(launch.launch.name) \(tensor)")
      }
    }
  }

  private static let operations = OperationCase.awkward.flatMap { subject in
    subject.operations.map { (subject.plan, $0) }
  }

  @Test func everyBoundIsWhatItIsSaidToBe() {
    #expect(ComparisonBound.relative == 1e-10 && ComparisonBound.terms == 1e-6)
    #expect(ComparisonBound.halfForward == 4e-6 && ComparisonBound.halfBackward == 1e-4)
    for (plan, operation) in Self.operations {
      var bound = ComparisonBound(
        values: ComparedValues(plan: plan, live: 1, before: [:], after: [:]))
      #expect(bound.relative(of: operation) == 1e-10, "\(operation.name)")
      bound.isHalf = true
      let usual = operation.phase == .backward ? 1e-4 : 4e-6
      let isWider = [.conv1DForward, .denseForward].contains(operation.kind)
      #expect(bound.relative(of: operation) == (isWider ? 9 : 1) * usual, "\(operation.name)")
    }
  }

  @Test func everyWiderBoundHasItsReason() {
    #expect(!ComparisonBound.widerHalf.isEmpty)
    for (operation, bound) in ComparisonBound.widerHalf {
      #expect(bound.factor > 1 && bound.factor <= 9, "\(operation)")
      #expect(!bound.reason.isEmpty, "\(operation)")
    }
  }
}

/// What `FaultyDevice` does wrong.
enum Fault: Sendable {
  case wrongElement, unwrittenElement, writesBeyondLive, readsBeyondLive, ignoresStep
  case reducedPrecision
}

/// The reference with one mistake in each output.
struct FaultyDevice: Device {
  let fault: Fault
  var name: String { "faulty" }
  let precision = Precision.fp32

  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    FaultyPlan(try ReferenceDevice().load(plan, options: options), fault)
  }
}

final class FaultyPlan: ForwardingPlan {
  let fault: Fault

  init(_ base: any LoadedPlan, _ fault: Fault) {
    self.fault = fault
    super.init(base)
  }

  override func run(launch: Int, of program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    let wrongStep = fault == .ignoresStep ? 0 : step
    try base.run(launch: launch, of: program, step: wrongStep, live: live)
    guard let operation = plan.programs[program]?.operations[launch] else { return }
    for id in operation.writes {
      var values = try base.readDoubles(id)
      let liveCount = plan[id].elementCount(live: live)
      switch fault {
      case .wrongElement: values[liveCount / 2] += 1e-3
      case .unwrittenElement: values[liveCount - 1] = .nan
      case .writesBeyondLive: values[liveCount] = 0
      case .reducedPrecision:
        for i in 0..<liveCount {
          let bits = Float(values[i]).bitPattern
          values[i] = Double(Float(bitPattern: (bits + 0x8000) & 0xFFFF_0000))
        }
      case .readsBeyondLive:
        values[0] += try base.readDoubles(operation.reads[0]).last ?? 0
      case .ignoresStep: break
      }
      try base.write(values, to: id)
    }
  }
}
