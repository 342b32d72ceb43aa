import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks
import TestSupport
import Testing

@testable import ComputeOpenCL

/// The short form of attention by the tensor-core kernels, with their instructions emulated.
@Suite(.needsOpenCL) struct TensorCoreAttentionTests {
  struct Shape: CustomStringConvertible {
    var time: Int
    var heads: Int
    var dropoutRate: Float
    var channels = 16

    var description: String {
      "T \(time), \(heads) heads, \(channels) channels, dropout \(dropoutRate)"
    }

    func operations(capacity: Int, live: Int) -> OperationCase {
      .attention(
        AttentionShape(
          time: time, channels: channels, heads: heads, keySize: 5, outputChannels: 6,
          dropoutRate: dropoutRate, stream: RandomStream.firstLayer + 3), capacity: capacity,
        live: live, averages: true)
    }
  }

  /// One step, the middle of a tile, both sides of half of one, a second tile with one step; rows of
  /// the dropout that begin at all places of a Philox block.
  static let shapes = [
    Shape(time: 1, heads: 3, dropoutRate: 0), Shape(time: 7, heads: 1, dropoutRate: 0.4),
    Shape(time: 31, heads: 3, dropoutRate: 0.4), Shape(time: 33, heads: 1, dropoutRate: 0),
    Shape(time: 33, heads: 3, dropoutRate: 0.4), Shape(time: 65, heads: 3, dropoutRate: 0.4),
    Shape(time: 65, heads: 1, dropoutRate: 0),
  ]

  private static let late = device(.copiesLate, specializes: false)
  private static let early = device(.copiesEarly, specializes: false)
  private static let specialized = device(.copiesLate, specializes: true)

  private static func device(
    _ emulation: TensorCores.Emulation, specializes: Bool
  ) -> Result<OpenCLDevice, any Error> {
    Result {
      var options = OpenCLDevice.Options(
        usesCLBlast: false, specializes: specializes, precision: .fp16)
      options.tensorCores = .emulated
      options.emulation = emulation
      return try TestDevice.open(options: options)
    }
  }

  private func expectAgreement(
    of subject: OperationCase, on device: OpenCLDevice, with reference: any Device
  ) throws {
    let candidate = try subject.load(on: device, fuses: true)
    #expect(try Self.attentionKernels(candidate, subject.program) == Self.kernels)
    let report = try compare(
      reference: subject.load(on: reference), candidate: candidate, program: subject.program,
      step: subject.step, live: subject.live)
    #expect(report.count == 2)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  /// Those that make scores, in order; the last is only there on tensor cores.
  private static let kernels = [
    "attention_short_rows", "attention_short_mean", "attention_short_rows",
    "attention_short_input_backward",
  ]

  private static func attentionKernels(
    _ loaded: any LoadedPlan, _ program: ProgramID
  ) throws -> [String] {
    let plan = try #require(loaded as? OpenCLLoadedPlan)
    let scoring = Set(kernels + ["attention_short_query_backward", "attention_short_key_backward"])
    return plan.commands(of: program).flatMap { $0 }.map(\.name).filter(scoring.contains)
  }

  /// Without `SEMG_ALL_TESTS` those of few emulated items.
  @Test(arguments: shapes)
  func awkwardShapesAgreeWithTheReference(_ shape: Shape) throws {
    guard runsSlowTests || shape.time < 32 else { return }
    try expectAgreement(
      of: shape.operations(capacity: 3, live: 2), on: Self.late.get(), with: ReferenceDevice())
  }

  @Test(.enabled(if: runsSlowTests)) func copiesMayComeEarly() throws {
    try expectAgreement(
      of: Shape(time: 65, heads: 3, dropoutRate: 0.4).operations(capacity: 2, live: 2),
      on: Self.early.get(), with: ReferenceDevice())
  }

  /// In a build for one shape; the model's lines are wider yet.
  @Test(.enabled(if: runsSlowTests)) func widerLinesAgreeWithTheReference() throws {
    let shape = Shape(time: 66, heads: 1, dropoutRate: 0.4, channels: 48)
    try expectAgreement(
      of: shape.operations(capacity: 1, live: 1), on: Self.specialized.get(),
      with: ReferenceDevice())
  }

  @Test(.enabled(if: runsSlowTests)) func theModelsShapeAgreesWithTheCPU() throws {
    let model = try #require(
      OperationCase.models(batch: 1).first { $0.family == .attentionMean })
    try expectAgreement(of: model, on: Self.late.get(), with: CPUDevice(threads: 2))
  }

  /// Every bit of the mask: a wrong one of many would hide within the bounds.
  @Test func theDropoutKeepsWhatItKeepsElsewhere() throws {
    let (time, heads, channels) = (65, 3, 16)
    let (stream, step) = (RandomStream.firstLayer + 3, UInt64(301))
    let key = Philox.key(seed: 5)
    let threshold = Philox.dropoutThreshold(rate: 0.4)
    let device = try Self.late.get()
    let words = (time + 63) / 64 * 2
    let header = BufferSlot()
    header.buffer = try Buffer(copying: [step - 1, 0], context: device.context)
    let bits = try Buffer(
      copying: [UInt32](repeating: 0, count: heads * time * words), context: device.context)
    func zeros<Element: BitwiseCopyable & ExpressibleByIntegerLiteral>(
      _: Element.Type, _ count: Int
    ) throws -> KernelArgument {
      .tensor(
        try Buffer(copying: [Element](repeating: 0, count: count), context: device.context),
        offset: 0)
    }
    let arguments: [KernelArgument] = try [
      zeros(Float16.self, time * channels), zeros(Float16.self, channels * heads * channels),
      zeros(Float.self, heads * channels), zeros(Float16.self, time * heads * channels),
      zeros(Float.self, heads * time), zeros(Float.self, heads * time * 4),
      .tensor(bits, offset: 0), .int(1), .slot(header), .uint(threshold), .float(1),
      .uint(stream), .uint(key.x), .uint(key.y), .int(1), .int(time), .int(heads), .int(heads),
    ]
    let call = try KernelCall(
      kernel: device.context.makeKernel(
        file: "tensor_core_attention", name: "attention_short_rows",
        defines: #require(device.tensorCoreDefines).merging(["CHANNELS": channels]) { $1 }),
      file: "tensor_core_attention", name: "attention_short_rows", arguments: arguments,
      local: [128, 1, 1],
      groups: { _ in [2, heads, 1] }, context: device.context)
    let memory = try DeviceMemory(context: device.context)
    // A kernel does not hold its buffers.
    try withExtendedLifetime(arguments) {
      try call.enqueue(on: memory.queue, step: 0, live: 1)
      try memory.finish()
    }
    var found = [UInt32](repeating: 0, count: heads * time * words)
    try memory.read(bits, offset: 0, into: &found, count: found.count)
    let wrong = (0..<heads * time * time).filter { element in
      let (row, s) = (element / time, element % time)
      let lane = Philox.lane(element: element, stream: stream, step: step, key: key)
      return (found[row * words + s / 32] >> (s % 32) & 1 == 1) != (lane >= threshold)
    }
    #expect(wrong.isEmpty)
  }

  @Test func theSameSeedGivesTheSameBitsTwice() throws {
    let subject = Shape(time: 7, heads: 1, dropoutRate: 0.4).operations(capacity: 3, live: 2)
    func gradients() throws -> [[Float]] {
      let loaded = try subject.load(on: Self.late.get(), fuses: true)
      try loaded.run(subject.program, step: subject.step, live: subject.live)
      return try subject.inputs.map { try loaded.read($0.gradient) }
    }
    let first = try gradients()
    #expect(first == (try gradients()))
    #expect(first.contains { $0.contains { $0 != 0 } })
  }

  @Test func shapesThatDoNotFitAreLeftToTheOrdinaryKernels() {
    func fits(_ channels: Int, offset: Int = 0) -> Bool {
      TensorCoreTile.fits(
        AttentionShape(
          time: 204, channels: channels, heads: 4, keySize: 64, outputChannels: 64,
          dropoutRate: 0, stream: RandomStream.firstLayer), offsets: [0, offset])
    }
    #expect(fits(16) && fits(64, offset: 64))
    #expect(!fits(8) && !fits(20) && !fits(80) && !fits(64, offset: 4))
  }

  /// A whole network's step, by all the tensor-core kernels that it takes.
  @Test(.enabled(if: runsSlowTests)) func aNetworksAttentionTakesTheTensorCores() throws {
    let made = try TestPlan(StepRun.networks()[0], capacity: 2)
    let candidate = try made.load(
      Self.late.get(), programs: [.forwardBackward], fuses: true, steps: 1)
    #expect(try Self.attentionKernels(candidate, .forwardBackward) == Self.kernels)
    let report = try compare(
      reference: made.load(
        ReferenceDevice(), programs: [.forwardBackward], fuses: false, steps: 1),
      candidate: candidate, program: .forwardBackward, step: 0, live: 2)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }
}
