import Compute
import ComputeCPU
import ComputeCases
import ComputeOpenCL
import ComputeReference
import TestSupport
import Testing

@Suite(.needsOpenCL) struct AttentionTests {
  static let averaged = OperationCase.awkward.filter {
    $0.family == .attentionMean
  }

  /// The published network's attention, of two samples.
  static let model = OperationCase.models(batch: 2).filter {
    [.attention, .attentionMean].contains($0.family)
  }

  /// Devices whose products are made by CLBlast, or by our own kernels, and whose kernels are built
  /// for each shape, or once for all.
  static func device(usesCLBlast: Bool, specializes: Bool = false) throws -> OpenCLDevice {
    try (usesCLBlast ? library : specializes ? specialized : own).get()
  }

  private static let own = opened(usesCLBlast: false, specializes: false)
  private static let specialized = opened(usesCLBlast: false, specializes: true)
  private static let library = opened(usesCLBlast: true, specializes: false)

  private static func opened(
    usesCLBlast: Bool, specializes: Bool
  ) -> Result<OpenCLDevice, any Error> {
    Result {
      try TestDevice.open(
        options: OpenCLDevice.Options(usesCLBlast: usesCLBlast, specializes: specializes))
    }
  }

  private func expectAgreement(
    of subject: OperationCase, on device: OpenCLDevice, with reference: any Device, fuses: Bool,
    launches: Int
  ) throws {
    let report = try compare(
      reference: subject.load(on: reference), candidate: subject.load(on: device, fuses: fuses),
      program: subject.program, step: subject.step, live: subject.live)
    #expect(report.count == launches)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  @Test(arguments: averaged)
  func theShortFormAgreesWithTheReference(on subject: OperationCase) throws {
    try expectAgreement(
      of: subject, on: Self.device(usesCLBlast: false), with: ReferenceDevice(), fuses: true,
      launches: 2)
  }

  /// More than one tile of the short form's kernels, with edges, and more channels than they take at
  /// a time.
  @Test(arguments: [
    (time: 33, channels: 65, heads: 2, keySize: 9), (time: 65, channels: 7, heads: 3, keySize: 66),
    (time: 31, channels: 130, heads: 1, keySize: 3),
  ])
  func theShortFormHasNoEdges(
    _ time: Int, _ channels: Int, _ heads: Int, _ keySize: Int
  ) throws {
    let subject = OperationCase.attention(
      AttentionShape(
        time: time, channels: channels, heads: heads, keySize: keySize, outputChannels: 5,
        dropoutRate: 0.4, stream: RandomStream.firstLayer + 3), capacity: 3, live: 2,
      averages: true)
    for specializes in [false, true] {
      try expectAgreement(
        of: subject, on: Self.device(usesCLBlast: false, specializes: specializes),
        with: ReferenceDevice(), fuses: true, launches: 2)
    }
  }

  @Test(
    .enabled(if: runsSlowTests), arguments: model, [(false, false), (true, false), (false, true)])
  func theModelsShapeAgreesWithTheCPU(
    on subject: OperationCase, _ choice: (usesCLBlast: Bool, fuses: Bool)
  ) throws {
    let averages = subject.family == .attentionMean
    guard averages || !choice.fuses else { return }
    try expectAgreement(
      of: subject, on: Self.device(usesCLBlast: choice.usesCLBlast), with: CPUDevice(threads: 2),
      fuses: choice.fuses, launches: choice.fuses || !averages ? 2 : 4)
  }

  @Test(
    .enabled(if: runsSlowTests),
    arguments: OperationCase.awkward.filter { $0.family == .attention })
  func CLBlastsProductsAgreeWithTheReference(on subject: OperationCase) throws {
    try expectAgreement(
      of: subject, on: Self.device(usesCLBlast: true), with: ReferenceDevice(), fuses: false,
      launches: 2)
  }

  @Test(arguments: [false, true])
  func theSameSeedGivesTheSameBitsTwice(fuses: Bool) throws {
    let subject = try #require(Self.averaged.first { $0.tags.contains(.dropsOut) })
    let device = try Self.device(usesCLBlast: false)
    func gradients() throws -> [[Float]] {
      let loaded = try subject.load(on: device, fuses: fuses)
      try loaded.run(subject.program, step: subject.step, live: subject.live)
      return try subject.inputs.map { try loaded.read($0.gradient) }
    }
    let first = try gradients()
    #expect(first == (try gradients()))
    #expect(first.contains { $0.contains { $0 != 0 } })
  }
}
