// swift-tools-version: 6.2
import PackageDescription

// On the package above, whatever its folder is called: the name is given, not taken from the path.
let package = Package(
  name: "semg-train-benchmarks",
  dependencies: [.package(name: "semg-train", path: "..")],
  targets: [
    .executableTarget(
      name: "ingest",
      dependencies: [.product(name: "SEMGLibraries", package: "semg-train")],
      path: "Sources/Ingest", swiftSettings: [.treatAllWarnings(as: .error)]),
    .executableTarget(
      name: "loss-curve",
      dependencies: [.product(name: "SEMGLibraries", package: "semg-train")],
      path: "Sources/LossCurve", swiftSettings: [.treatAllWarnings(as: .error)]),
  ],
  swiftLanguageModes: [.v6]
)
