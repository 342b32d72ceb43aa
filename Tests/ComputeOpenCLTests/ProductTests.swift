import COpenCL
import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import TestSupport
import Testing

@testable import ComputeOpenCL

/// Convolutions and dense layers in every build: of one shape and of all, with CLBlast and without.
@Suite(.needsOpenCL) struct ProductTests {
  static let specialized = OpenCLDevice.Options(usesCLBlast: false, specializes: true)
  static let generic = OpenCLDevice.Options(usesCLBlast: false, specializes: false)
  static let library = OpenCLDevice.Options(usesCLBlast: true, specializes: true)

  private func open(_ options: OpenCLDevice.Options) throws -> OpenCLDevice {
    try OpenCLDevice(try #require(TestDevice.all.first), options: options)
  }

  private func check(
    _ subject: OperationCase, against reference: any Device, on device: OpenCLDevice
  ) throws {
    let report = try compare(
      reference: subject.load(on: reference), candidate: subject.load(on: device),
      program: subject.program, step: subject.step, live: subject.live)
    for launch in report { #expect(launch.passes, "\(subject): \(launch)") }
  }

  // MARK: Small shapes

  /// Quads whole and broken, samples shorter than a tile's depth, taps beyond the window, a batch
  /// that is cut into several spans.
  static let smallConvolutions = [
    (13, 8, 12, 3, 2, Padding.same, 3, 2), (5, 4, 8, 3, 8, .causal, 2, 2),
    (33, 12, 33, 2, 1, .same, 3, 3), (70, 7, 68, 9, 3, .causal, 1, 1),
  ].map {
    OperationCase.conv1D(
      Conv1DShape(
        time: $0.0, inputChannels: $0.1, outputChannels: $0.2, taps: $0.3, dilation: $0.4,
        padding: $0.5), capacity: $0.6, live: $0.7)
  }

  static let smallDense = [(1, 8, 12, 3, 2), (5, 33, 7, 2, 2), (3, 20, 68, 2, 1)].map {
    OperationCase.dense(
      DenseShape(rowsPerSample: $0.0, inputs: $0.1, outputs: $0.2), capacity: $0.3, live: $0.4)
  }

  @Test(arguments: smallConvolutions) func aBuildForOneSmallConvolutionIsRight(
    _ subject: OperationCase
  ) throws {
    try check(subject, against: ReferenceDevice(), on: open(Self.specialized))
  }

  @Test(arguments: smallConvolutions) func theBuildForAllConvolutionsIsRight(
    _ subject: OperationCase
  ) throws {
    try check(subject, against: ReferenceDevice(), on: open(Self.generic))
  }

  @Test(arguments: smallDense) func denseLayersNeedNoLibrary(_ subject: OperationCase) throws {
    try check(subject, against: ReferenceDevice(), on: open(Self.specialized))
    try check(subject, against: ReferenceDevice(), on: open(Self.generic))
  }

  @Test(.enabled(if: !KernelSource.leavesOutCLBlast), arguments: smallDense)
  func denseLayersByTheLibraryAreRight(_ subject: OperationCase) throws {
    try check(subject, against: ReferenceDevice(), on: open(Self.library))
  }

  // MARK: The networks' shapes

  private static func convolution(
    _ time: Int, _ inputs: Int, _ outputs: Int, _ taps: Int, _ dilation: Int, _ padding: Padding,
    capacity: Int
  ) -> OperationCase {
    .conv1D(
      Conv1DShape(
        time: time, inputChannels: inputs, outputChannels: outputs, taps: taps,
        dilation: dilation, padding: padding), capacity: capacity, live: 2)
  }

  /// At the capacity at which they are trained, since that decides the tiles.
  static let specializedShapes = [
    convolution(204, 8, 32, 3, 1, .same, capacity: 128),
    convolution(204, 64, 32, 7, 8, .causal, capacity: 128),
    convolution(204, 64, 32, 7, 4, .same, capacity: 128),
    convolution(204, 8, 64, 1, 1, .same, capacity: 128),
    convolution(204, 8, 64, 9, 1, .same, capacity: 128),
    convolution(204, 64, 128, 5, 1, .same, capacity: 128),
    convolution(102, 128, 256, 3, 1, .same, capacity: 128),
    convolution(51, 256, 512, 3, 1, .same, capacity: 128),
  ]

  @Test(.enabled(if: runsSlowTests), arguments: specializedShapes)
  func buildsForTheNetworksAreRight(_ subject: OperationCase) throws {
    try check(subject, against: CPUDevice(threads: 2), on: open(Self.specialized))
  }

  static let models = OperationCase.models(batch: 2).filter {
    [.conv1D, .dense].contains($0.family)
  }

  @Test(.enabled(if: runsSlowTests), arguments: models)
  func theGenericBuildIsRightForTheNetworks(_ subject: OperationCase) throws {
    try check(subject, against: CPUDevice(threads: 2), on: open(Self.generic))
  }

  /// Beside the networks' shapes one that is large enough for the library to want its temporary.
  static let libraryShapes =
    models.filter { $0.family == .dense } + [
      OperationCase.dense(DenseShape(inputs: 512, outputs: 512), capacity: 512, live: 500)
    ]

  @Test(
    .enabled(if: runsSlowTests && !KernelSource.leavesOutCLBlast), arguments: libraryShapes)
  func theLibraryIsRightForTheNetworks(_ subject: OperationCase) throws {
    try check(subject, against: CPUDevice(threads: 2), on: open(Self.library))
  }

  // MARK: Bits

  @Test func theSameInputsGiveTheSameBits() throws {
    let subject = OperationCase.conv1D(
      Conv1DShape(time: 40, inputChannels: 8, outputChannels: 16, taps: 5), capacity: 8, live: 7)
    let device = try open(Self.generic)
    func gradients() throws -> [[UInt32]] {
      let loaded = try subject.load(on: device)
      try loaded.run(subject.program, step: 0, live: subject.live)
      return try (subject.inputs.map(\.gradient) + subject.outputs.map(\.value)).map {
        try loaded.read($0).map(\.bitPattern)
      }
    }
    #expect(try gradients() == gradients())
  }
}
