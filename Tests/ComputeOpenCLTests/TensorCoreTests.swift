import COpenCL
import Compute
import ComputeCases
import ComputeReference
import TestSupport
import Testing

@testable import ComputeOpenCL

/// The tensor-core kernels on any device, with their instructions emulated: fragments, addresses,
/// taps and edges against plain products. What the hardware would refuse, or do slowly, comes out
/// as NaN.
@Suite(.needsOpenCL) struct TensorCoreTests {
  struct Build: CustomStringConvertible {
    var tile: TensorCoreTile
    var emulation: TensorCores.Emulation
    var specializes = false

    var description: String {
      "\(tile.rows)×\(tile.columns), \(emulation)\(specializes ? ", one shape" : "")"
    }
  }

  private static let tiles = TensorCoreTile.choices.map(\.tile)

  /// Each tile once, the largest in each way; without `SEMG_ALL_TESTS` one small build.
  static let builds: [Build] =
    runsSlowTests
    ? tiles.map { Build(tile: $0, emulation: .copiesLate) }
      + [
        Build(tile: tiles[0], emulation: .copiesEarly),
        Build(tile: tiles[1], emulation: .copiesLate, specializes: true),
      ]
    : [Build(tile: tiles[3], emulation: .copiesLate)]

  static let parts: [ProductPart] = [.forward, .backwardInput, .backwardKernel]

  // MARK: The probe

  @Test func theEmulationPassesTheProbe() throws {
    let description = try #require(TestDevice.all.first)
    #expect(TensorCores.probe(description, emulation: .copiesLate) == .usable)
    #expect(TensorCores.probe(description, emulation: .copiesEarly) == .usable)
  }

  /// A CPU has none, and asking it does no harm.
  @Test func theProbeRefusesADeviceWithoutTensorCores() throws {
    let description = try #require(TestDevice.all.first { $0.isCPU })
    #expect(TensorCores.probe(description).reason == "a processor has none")
  }

  // MARK: Convolutions

  struct Convolution {
    var shape: Conv1DShape
    var capacity: Int
    var live: Int

    init(
      _ time: Int, _ inputs: Int, _ outputs: Int, _ taps: Int, _ dilation: Int,
      _ padding: Padding, _ capacity: Int, _ live: Int
    ) {
      shape = Conv1DShape(
        time: time, inputChannels: inputs, outputChannels: outputs, taps: taps,
        dilation: dilation, padding: padding)
      (self.capacity, self.live) = (capacity, live)
    }
  }

  /// One step; tiles that hold several samples and samples that hold several tiles; taps beyond the
  /// sample; depths that end within a tile's, and within half of one; more columns than a tile.
  static let convolutions = [
    Convolution(1, 8, 8, 1, 1, .same, 2, 1), Convolution(5, 8, 16, 3, 2, .causal, 3, 2),
    Convolution(31, 16, 8, 3, 1, .same, 4, 3), Convolution(33, 24, 40, 7, 4, .same, 2, 2),
    Convolution(204, 8, 32, 7, 8, .causal, 2, 1), Convolution(25, 40, 136, 5, 1, .same, 2, 2),
    Convolution(7, 16, 24, 3, 8, .causal, 2, 1),
  ]

  @Test(arguments: builds, parts)
  func convolutionsAgreeWithPlainLoops(_ build: Build, _ part: ProductPart) throws {
    for convolution in build.specializes ? [Self.convolutions[3]] : Self.convolutions {
      let bench = try TensorCoreBench()
      try bench.check(convolution, part, build)
    }
  }

  /// The sums over steps in spans, before a normalization, and a gradient that is added to.
  @Test(.enabled(if: runsSlowTests)) func convolutionsCutAddAndLeaveOut() throws {
    let build = Build(tile: Self.tiles[3], emulation: .copiesLate)
    let convolution = Convolution(51, 24, 40, 3, 4, .causal, 3, 2)
    let bench = try TensorCoreBench()
    try bench.check(convolution, .backwardKernel, build, span: 32)
    try bench.check(convolution, .backwardKernel, build, span: 64)
    try bench.check(convolution, .backwardKernel, build, isUnbiased: true)
    try bench.check(convolution, .backwardInput, build, adds: true)
  }

  /// Whatever a tile's local memory is used for one after the other, it fits: a tile that writes
  /// behind it spoils its result.
  @Test(arguments: TensorCoreTile.candidates)
  func convolutionsLeaveStatisticsInEveryTile(_ tile: TensorCoreTile) throws {
    let isLargest = tile.rows * tile.columns == 128 * 128
    guard runsSlowTests || tile == Self.tiles[3] else { return }
    try TensorCoreBench().check(
      Convolution(25, 40, isLargest ? 136 : 72, 3, 1, .same, 7, 6), .forward,
      Build(tile: tile, emulation: isLargest ? .copiesEarly : .copiesLate),
      leavesStatistics: true)
  }

  /// Compilers of GPUs that are not here see every tile.
  @Test func theKernelsNameEveryTileForOfflineChecks() throws {
    let text = try #require(KernelSource.text(of: "tensor_core_product"))
    let named = text.split(separator: "\n").filter { $0.hasPrefix("// tile: ") }
    #expect(
      named.map(String.init)
        == TensorCoreTile.candidates.map {
          "// tile: -DTILE_ROWS=\($0.rows) -DTILE_COLUMNS=\($0.columns) "
            + "-DWARPS_DOWN=\($0.warpsDown) -DWARPS_ACROSS=\($0.warpsAcross)"
        })
  }

  /// The emulation has memory of its own besides: what items lay open to each other, and a guard.
  @Test(.enabled(if: runsSlowTests), arguments: TensorCoreTile.candidates)
  func tilesTakeTheLocalMemoryThatTheyAreSaidToTake(_ tile: TensorCoreTile) throws {
    let bench = try TensorCoreBench()
    for (part, leavesStatistics) in [
      (ProductPart.forward, false), (.forward, true), (.backwardInput, false),
      (.backwardKernel, false),
    ] {
      let kernel = try bench.context.makeKernel(
        file: "tensor_core_conv1d", name: TensorCoreBench.convolutions[part] ?? "",
        defines: tile.defines(
          part: part, writesChunks: true, leavesStatistics: leavesStatistics
        ).merging(["EMULATED": 1]) { $1 })
      defer { clReleaseKernel(kernel) }
      let bytes = try bench.localBytes(of: kernel)
      #expect(
        bytes - 12 * 4 * tile.items - 64 * 16
          == tile.localBytes(
            hasHalfResult: part != .backwardKernel, leavesStatistics: leavesStatistics),
        "\(tile), part \(part)")
    }
  }

  // MARK: Plain products

  /// A turned right factor leaves the result's columns free: they need be no multiple of a chunk.
  static let products = [
    TensorCoreProduct(form: .plain, rows: 40, columns: 24, depth: 48, bias: true),
    TensorCoreProduct(form: .plain, rows: 129, columns: 72, depth: 40, scale: 0.5),
    TensorCoreProduct(form: .plain, rows: 33, columns: 40, depth: 64, halves: false),
    TensorCoreProduct(form: .rightTurned, rows: 51, columns: 51, depth: 64, scale: 0.125),
    TensorCoreProduct(form: .rightTurned, rows: 33, columns: 7, depth: 16, halves: false),
    TensorCoreProduct(form: .leftTurned, rows: 40, columns: 72, depth: 201, bias: true),
    TensorCoreProduct(form: .leftTurned, rows: 8, columns: 16, depth: 7),
  ]

  @Test(arguments: products) func productsAgreeWithPlainLoops(_ product: TensorCoreProduct) throws {
    guard runsSlowTests || product.rows == 40 else { return }
    try TensorCoreBench().check(
      product, Build(tile: Self.tiles[product.rows > 64 ? 0 : 3], emulation: .copiesLate))
  }

  // MARK: In the whole lowering

  static let cases = convolutions.map {
    OperationCase.conv1D($0.shape, capacity: $0.capacity, live: $0.live)
  }
  static let emulating: Result<OpenCLDevice, any Error> = Result {
    var options = OpenCLDevice.Options(usesCLBlast: false, specializes: false, precision: .fp16)
    options.tensorCores = .emulated
    return try TestDevice.open(options: options)
  }

  /// With halves of the weights, and spans of the device's own choice.
  @Test(.enabled(if: runsSlowTests), arguments: cases)
  func operationsAgreeWithTheReference(on subject: OperationCase) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: Self.emulating.get()),
      program: subject.program, step: subject.step, live: subject.live)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  /// Dense layers over time steps, and those of too few rows or widths that are no whole chunks,
  /// which are the ordinary kernels'; but the product for the input alone may have such columns.
  @Test(.enabled(if: runsSlowTests))
  func denseLayersAgreeWithTheReference() throws {
    for (rows, inputs, outputs, isOnTensorCores) in [
      (33, 24, 40, true), (9, 24, 40, false),
      (40, 12, 40, true), (40, 40, 12, false), (40, 12, 12, false),
    ] {
      let subject = OperationCase.dense(
        DenseShape(rowsPerSample: rows, inputs: inputs, outputs: outputs), capacity: 3, live: 2)
      let loaded = try subject.load(on: Self.emulating.get())
      let copies = try #require(loaded as? OpenCLLoadedPlan).scratch.weightCopies.copies
      #expect(copies.isEmpty != isOnTensorCores, "\(subject.name)")
      let report = try compare(
        reference: subject.load(on: ReferenceDevice()), candidate: loaded,
        program: subject.program, step: subject.step, live: subject.live)
      for launch in report { #expect(launch.passes, "\(launch)") }
    }
  }

  /// Fused launches among them: the gradients of all kernels end in one, and normalizations take
  /// their statistics from the convolutions; but for the first, which reads four channels.
  @Test(.enabled(if: runsSlowTests), arguments: [0, 1])
  func wholeStepsAgreeWithTheReference(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 4)
    let programs: [ProgramID] = [.forwardBackward]
    let candidate = try #require(
      made.load(Self.emulating.get(), programs: programs, fuses: true) as? OpenCLLoadedPlan)
    let names = candidate.commands(of: .forwardBackward).joined().map(\.name)
    let statistics = ["batch_statistics_partial", "squeeze_block_statistics"]
    #expect(names.count(where: statistics.contains) == 1)
    let report = try compare(
      reference: made.load(ReferenceDevice(), programs: programs, fuses: false),
      candidate: candidate, program: .forwardBackward, step: 1, live: 3)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  @Test(.enabled(if: runsSlowTests), arguments: [0, 1])
  func theSameSeedGivesTheSameBits(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 4)
    let runs = try (0..<2).map { _ in try StepRun(on: Self.emulating.get()).train(made) }
    #expect(runs[0] == runs[1])
    #expect(StepRun.isFinite(runs[0]))
  }

  // MARK: The choice

  @Test func rowsThatAreNotWholeChunksAreLeftToTheOrdinaryKernels() {
    func fits(_ inputs: Int, _ outputs: Int, _ offset: Int = 0) -> Bool {
      TensorCoreTile.fits(
        Conv1DShape(
          time: 204, inputChannels: inputs, outputChannels: outputs, taps: 3, dilation: 1,
          padding: .same), offsets: [0, offset])
    }
    #expect(fits(8, 32) && fits(64, 512, 16))
    #expect(!fits(1, 32) && !fits(8, 33) && !fits(7, 7) && !fits(8, 32, 4))
  }

  @Test func tilesAreNoWiderThanTheResultNeeds() {
    #expect(TensorCoreTile.best(rows: 26_112, columns: 32).columns == 32)
    #expect(TensorCoreTile.best(rows: 208_896, columns: 64) == Self.tiles[0])
    #expect(TensorCoreTile.best(rows: 64, columns: 64, splitsDepth: true).rows == 64)
  }
}
