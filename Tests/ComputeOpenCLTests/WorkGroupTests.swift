import Compute
import ComputeCases
import ComputeReference
import TestSupport
import Testing

@testable import ComputeOpenCL

/// Devices that allow fewer work items a group than kernels are best with: Adreno's, Mali's and
/// Apple's, some for all kernels, some for those that take many registers. The layer passes them off.
@Suite(.needsOpenCL, .needsCallLayer) struct WorkGroupTests {
  struct Limit: CustomStringConvertible {
    /// As the layer calls it.
    var name: String
    var items: Int

    var description: String { "\(name) \(items)" }
  }

  static let limits = [
    Limit(name: "device items", items: 128), Limit(name: "kernel items", items: 64),
  ]

  private func open(
    _ precision: Precision = .fp32, specializes: Bool = false
  ) throws -> OpenCLDevice {
    let description = try #require(try OpenCLDeviceDescription.all().first)
    return try OpenCLDevice(
      description, options: OpenCLDevice.Options(specializes: specializes, precision: precision))
  }

  private func expectAgreement(_ subject: OperationCase, on device: OpenCLDevice) throws {
    for fuses in [false, true] {
      let report = try compare(
        reference: subject.load(on: ReferenceDevice()),
        candidate: subject.load(on: device, fuses: fuses),
        program: subject.program, step: subject.step, live: subject.live)
      for launch in report { #expect(launch.passes, "\(subject.name): \(launch)") }
    }
  }

  /// With kernels for all shapes. The layer refuses larger groups, CLBlast's too.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: limits)
  func everyOperationAgreesWithTheReference(_ limit: Limit) throws {
    let layer = try #require(CallLayer.present)
    try layer.limiting(limit.name, to: limit.items) {
      let device = try open()
      for subject in OperationCase.awkward { try expectAgreement(subject, on: device) }
      for check in LoneKernel.allCases { #expect(try check.problem(on: device) == nil) }
    }
  }

  /// The networks' whole steps, in both precisions, with kernels for their shapes; each at one limit,
  /// since a minute goes by until these kernels are compiled.
  @Test(
    .enabled(if: runsSlowTests, "long without optimization"),
    arguments: zip(Precision.allCases, limits))
  func wholeStepsAgreeWithTheReference(
    _ precision: Precision, _ limit: Limit
  ) throws {
    let layer = try #require(CallLayer.present)
    try layer.limiting(limit.name, to: limit.items) {
      let device = try open(precision, specializes: true)
      for network in try StepRun.networks() {
        let made = TestPlan(network, capacity: 4)
        let programs: [ProgramID] = [.forwardBackward]
        let report = try compare(
          reference: made.load(ReferenceDevice(), programs: programs, fuses: false),
          candidate: made.load(device, programs: programs, fuses: true),
          program: .forwardBackward, step: 1, live: 3)
        for launch in report { #expect(launch.passes, "\(launch)") }
      }
    }
  }

  /// As on a GPU, where a batch's samples are fewer than the device has room for.
  @Test(arguments: [false, true])
  func groupsOfOneSampleMayBeLarger(specializes: Bool) throws {
    let device = try open(specializes: specializes)
    let limits = device.context.groupLimits
    #expect(limits.items(of: "squeeze_block") == GroupLimits.most)
    limits.allowLargeGroups()
    #expect(limits.items(of: "squeeze_block") == 512)
    #expect(limits.items(of: "norm_block") == GroupLimits.most)
    let subjects = OperationCase.awkward.filter { subject in
      [.squeezeBlock, .squeezeBlockInference].contains(subject.family)
        && subject.plan.tensors.allSatisfy {
          $0.elementCount < 100_000
        }
    }
    #expect(!subjects.isEmpty)
    for subject in subjects { try expectAgreement(subject, on: device) }
    limits.note(511, of: "squeeze_block")
    #expect(limits.items(of: "squeeze_block") == GroupLimits.most)
  }

  @Test func groupsThatNoKernelIsWrittenForAreRefusedWithASentence() throws {
    let layer = try #require(CallLayer.present)
    let subject = OperationCase.normBlock(
      time: 5, channels: 3, rate: nil, pool: nil, capacity: 1, live: 1)
    for name in ["device items", "kernel items"] {
      layer.limiting(name, to: 32) {
        let error = #expect(throws: DeviceError.self) { try subject.load(on: open()) }
        #expect(
          error?.description.contains("needs 64 work items a group, the device allows 32") == true)
      }
    }
  }

  /// A driver that lets a kernel have more local memory than there is leaves it to write anywhere.
  @Test func localMemoryThatTheDeviceLacksIsRefusedWithASentence() throws {
    let layer = try #require(CallLayer.present)
    let subject = OperationCase.normBlock(
      time: 5, channels: 3, rate: nil, pool: nil, capacity: 1, live: 1)
    layer.limiting("local memory", to: 256) {
      let error = #expect(throws: DeviceError.self) { try subject.load(on: open()) }
      #expect(
        error?.description.contains("bytes of local memory a group, the device has 256") == true)
    }
  }
}
