// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours is compiled in the Swift 6 language mode with warnings as errors.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func target(
  _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil,
  resources: [Resource] = [], exclude: [String] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: path, exclude: exclude, resources: resources,
    swiftSettings: strict)
}

/// OpenCL C, embedded in the binary; files include each other, which is resolved before they are built.
let kernelSources = [
  "common.cl", "random.cl", "reduce.cl", "table.cl", "adam.cl", "attention.cl",
  "attention_dropout.cl", "attention_short.cl", "attention_short_backward.cl",
  "attention_tiles.cl", "augment.cl", "chunks.cl", "column_sums.cl", "conv1d.cl", "dense.cl",
  "dense_block.cl", "dropout.cl", "elementwise.cl", "lanes.cl", "loss.cl", "norm_block.cl",
  "normalization.cl", "peaks.cl", "pooling.cl", "product.cl", "softmax.cl", "squeeze_block.cl",
  "squeeze_excitation.cl", "tensor_core.cl", "tensor_core_attention.cl", "tensor_core_conv1d.cl",
  "tensor_core_dense.cl", "tensor_core_emulated.cl", "tensor_core_probe.cl",
  "tensor_core_product.cl", "tensor_core_scores.cl", "values.cl", "weight_copies.cl",
]

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = ["Fixtures"]
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude,
    swiftSettings: strict)
}

let package = Package(
  name: "semg-train",
  products: [
    .executable(name: "semg-train", targets: ["SEMGTrain"]),
    // For the package in Benchmarks alone: no promise to anybody else.
    .library(
      name: "SEMGLibraries",
      targets: [
        "Recordings", "SignalProcessing", "Compute", "ComputeCPU", "ComputeOpenCL", "Networks",
        "SignalPreparation", "Training", "Artifacts",
      ]),
    // For tests of the OpenCL device alone: the loader opens it by its path.
    .library(name: "semg-opencl-layer", type: .dynamic, targets: ["OpenCLLayer"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
    .systemLibrary(
      name: "COpenCL", providers: [.apt(["ocl-icd-opencl-dev", "opencl-headers"])]),
    .systemLibrary(name: "CCLBlast", providers: [.apt(["libclblast-dev"])]),
    .target(name: "CVectorLoops"),
    .target(name: "CLastResort"),
    .target(name: "CConfinement"),

    target("Recordings"),
    target("SignalProcessing"),
    target("Compute"),
    target("ComputeCases", ["Compute"]),
    target("ComputeReference", ["Compute"]),
    target("ComputeCPU", ["Compute", "COneDNN", "CVectorLoops"]),
    target("Kernels", path: "Kernels", resources: kernelSources.map { .embedInCode($0) }),
    target("ComputeOpenCL", ["Compute", "Kernels", "COpenCL", "CCLBlast"]),
    target("Networks", ["Compute"]),
    target("Artifacts", ["Compute", "Networks", "CHDF5", "CZip", "CConfinement"]),
    target(
      "SignalPreparation",
      ["Compute", "Recordings", "SignalProcessing", "Artifacts", "CVectorLoops"]),
    target(
      "Training",
      ["Networks", "Compute", "Recordings", "SignalPreparation", "Artifacts"]),
    target(
      "Parity",
      [
        "Compute", "ComputeCases", "ComputeReference", "ComputeCPU", "Networks", "Training",
        "Recordings", "SignalProcessing", "SignalPreparation",
      ]),
    .executableTarget(
      name: "semg-hdf5-reader", dependencies: ["Artifacts"], path: "Sources/HDF5Reader",
      swiftSettings: strict),
    .executableTarget(
      name: "SEMGTrain",
      dependencies: [
        "Recordings", "SignalProcessing", "Compute", "ComputeCPU", "ComputeOpenCL", "Networks",
        "Artifacts", "SignalPreparation", "Training", "Parity", "COneDNN", "COpenCL", "CHDF5",
        "CLastResort", "CZip",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    .target(name: "OpenCLLayer", path: "Tests/OpenCLLayer"),
    .executableTarget(
      name: "semg-kernel-check",
      dependencies: [
        "Compute", "ComputeCases", "ComputeOpenCL", "ComputeReference",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Tests/KernelCheck", swiftSettings: strict),
    .target(
      name: "TestSupport", dependencies: ["Compute", "ComputeCases", "Networks"],
      path: "Tests/TestSupport", swiftSettings: strict),
    tests("RecordingsTests", ["Recordings"]),
    tests("SignalProcessingTests", ["SignalProcessing"]),
    tests("ComputeTests", ["Compute", "ComputeCases", "ComputeReference"]),
    tests(
      "ComputeCPUTests",
      ["Compute", "ComputeCases", "ComputeReference", "ComputeCPU", "Networks"]),
    tests(
      "ComputeOpenCLTests",
      ["Compute", "ComputeCases", "ComputeReference", "ComputeCPU", "ComputeOpenCL", "Networks"]),
    tests(
      "NetworksTests",
      ["Networks", "Compute", "ComputeCases", "ComputeReference", "ComputeCPU"]),
    tests(
      "TrainingTests",
      ["SignalPreparation", "Training", "ComputeReference", "ComputeCPU", "ComputeOpenCL"]),
    tests(
      "ArtifactsTests",
      [
        "Artifacts", "CHDF5", "Networks", "ComputeReference", "ComputeCPU", "semg-hdf5-reader",
      ]),
    tests(
      "ParityTests",
      ["Parity", "Compute", "ComputeCases", "ComputeReference", "ComputeCPU", "Networks"],
      exclude: []),
    tests("SEMGTrainTests", ["SEMGTrain", "Parity"]),
  ],
  swiftLanguageModes: [.v6]
)
