import ArgumentParser
import Compute
import ComputeOpenCL
import Foundation
import Networks
import Training

struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Find the fastest kernels for a GPU, for later runs.",
    discussion: """
      Times the networks' matrix products in tiles of several sizes and keeps, for this \
      device, driver and batch size, those that are fastest and agree with the plain \
      kernels. Never needed: without it sizes are chosen by rule. Needs no recordings.
      """)

  @Option(
    help: .init("gpu or gpu:N. (default: gpu)", valueName: "device"),
    completion: .list(["gpu"]), transform: DeviceChoice.parse)
  var device: DeviceChoice?
  @Option(
    help: .init("inception-se, semg-net, or both. (default: both)", valueName: "models"),
    completion: .list(ModelKind.names), transform: OptionValue.choices)
  var models: [ModelKind]?
  @Option(
    help: .init("Samples a batch. (default: 128)", valueName: "number"),
    transform: OptionValue.number(1...65536))
  var batchSize = 128
  @Option(
    help: .init("causal or same. (default: causal)", valueName: "padding"),
    completion: .list(Padding.names), transform: OptionValue.choice)
  var padding: Padding?
  @OptionGroup(title: "Output") var output: OutputOptions

  /// Samples of the batch in which tiles are compared with the plain kernels.
  private static let comparedBatch = 8

  func run() throws {
    let console = output.console
    let choice = device ?? .gpu(nil)
    guard case .gpu = choice else {
      throw CommandFailure(
        .usage, "tune chooses kernels for a GPU, found --device \(choice); use gpu or gpu:N")
    }
    let settings = try DeviceSettings(choice: choice, threads: 1)
    guard let candidate = settings.candidate, candidate.kind != .cpu else {
      let found = settings.candidate.map { ": \($0.title) is the processor behind OpenCL" } ?? ""
      throw CommandFailure(
        .unavailable,
        "found no GPU to tune for\(found), whose kernels are not built for single shapes")
    }
    // Only a device that computes rightly is worth an hour of anybody's electricity.
    _ = try settings.open(on: console)
    let tuning = ProductTuning(candidate)
    let subjects = try (models ?? ModelKind.allCases).map { try subject($0) }
    let report = try tuning.run(subjects) { console.progress("tiles of \($0)") }
    console.clearProgress()
    let file: URL?
    do {
      file = try tuning.store(report)
    } catch {
      throw CommandFailure(
        .cannotCreate, "the tiles cannot be kept: \(error.localizedDescription)")
    }
    let document = Document(
      device: ParityDevice(candidate, name: candidate.name), batchSize: batchSize,
      products: report.choices.map(Document.Product.init),
      rejected: report.rejections.map(Document.Rejected.init), file: file?.path)
    if output.json {
      try console.result(json: document)
    } else {
      try console.result(document.text)
    }
  }

  private func subject(_ kind: ModelKind) throws -> ProductTuning.Subject {
    let network = try RunSettings(padding: padding).network(
      kind, windowLength: 204, channels: 8, classes: 5)
    func plan(batch: Int) -> Plan {
      NetworkPlan(
        network,
        options: NetworkPlanOptions(
          batchCapacity: batch, inferenceCapacity: batch, gathers: false)
      ).plan
    }
    return ProductTuning.Subject(
      timed: plan(batch: batchSize), compared: plan(batch: min(batchSize, Self.comparedBatch)))
  }

  /// What `--json` prints.
  private struct Document: Encodable {
    struct Product: Encodable {
      let product, tile: String
      let milliseconds: Double
      let usualTile: String
      let usualMilliseconds: Double

      init(_ choice: ProductTuning.Choice) {
        (product, tile, usualTile) = (choice.product, choice.tile, choice.usualTile)
        (milliseconds, usualMilliseconds) = (choice.milliseconds, choice.usualMilliseconds)
      }

      enum CodingKeys: String, CodingKey {
        case product, tile, milliseconds
        case usualTile = "usual_tile"
        case usualMilliseconds = "usual_milliseconds"
      }
    }

    struct Rejected: Encodable {
      let tile, kernel, reason: String

      init(_ rejection: ProductTuning.Rejection) {
        (tile, kernel, reason) = (rejection.tile, rejection.kernel, rejection.reason)
      }
    }

    let device: ParityDevice
    let batchSize: Int
    let products: [Product]
    let rejected: [Rejected]
    let file: String?

    enum CodingKeys: String, CodingKey {
      case device, products, rejected, file
      case batchSize = "batch_size"
    }

    var text: String {
      var table = TextTable(header: ["product", "tile", "ms a step", "usual tile", "ms a step"])
      for product in products {
        table.append([
          product.product, product.tile, Figure.fixed(product.milliseconds, 3), product.usualTile,
          Figure.fixed(product.usualMilliseconds, 3),
        ])
      }
      let sums = products.reduce((0, 0)) { ($0.0 + $1.milliseconds, $0.1 + $1.usualMilliseconds) }
      var blocks = [
        table.text,
        "all products: \(Figure.fixed(sums.0, 3)) ms a step, "
          + "\(Figure.fixed(sums.1, 3)) with the usual tiles",
      ]
      if !rejected.isEmpty {
        blocks.append(
          rejected.map { "\($0.tile) is not used for \($0.kernel): \($0.reason)" }
            .joined(separator: "\n"))
      }
      blocks.append(
        file.map { "kept in \($0); later runs use it" }
          ?? "not kept: there is no home directory, or SEMG_OPENCL_CACHE=0 is set")
      return blocks.joined(separator: "\n\n")
    }
  }
}
