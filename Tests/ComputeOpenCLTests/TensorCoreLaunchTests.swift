import Compute
import Foundation
import Networks
import Testing

@testable import ComputeOpenCL

/// `Benchmarks/gpu/launches.txt` is what both networks launch on tensor cores at batch 128: their
/// shapes, and the tiles that a device without tuning gives them. From it the kernels are compiled
/// that go along to a machine with a GPU.
struct TensorCoreLaunchTests {
  private static let batch = 128
  private static let file = URL(filePath: #filePath)
    .deletingLastPathComponent().appending(path: "../../Benchmarks/gpu/launches.txt")

  /// With `SEMG_WRITE_LAUNCHES=1` it is written.
  @Test func theListIsThatOfTheNetworks() throws {
    let networks = [try Network.semgNet(), try Network.inceptionSE(padding: .causal)]
    let lines = Set(try networks.flatMap(Self.lines))
    let text =
      "# batch \(Self.batch); written and compared by TensorCoreLaunchTests\n"
      + lines.sorted().joined(separator: "\n") + "\n"
    if ProcessInfo.processInfo.environment["SEMG_WRITE_LAUNCHES"] == "1" {
      try text.write(to: Self.file, atomically: true, encoding: .utf8)
    }
    #expect(lines.count > 25)
    #expect(
      try String(contentsOf: Self.file, encoding: .utf8) == text,
      "SEMG_WRITE_LAUNCHES=1 and this test write the list anew")
  }

  private static func lines(of network: Network) throws -> [String] {
    let plan = NetworkPlan(
      network, options: NetworkPlanOptions(batchCapacity: batch, inferenceCapacity: batch)
    ).plan
    let operations = try #require(plan.programs[.forwardBackward]).operations
    return operations.flatMap { lines(of: $0, among: operations) } + [kernelGradients(operations)]
  }

  /// The products of all convolutions' weight gradients are one launch.
  private static func kernelGradients(_ operations: [Compute.Operation]) -> String {
    let shapes = operations.compactMap {
      if case .conv1DBackwardKernel(let op) = $0 { op.shape } else { nil }
    }
    let tile = TensorCoreTile.best(
      rows: shapes.reduce(0) { $0 + $1.taps * $1.inputChannels },
      columns: shapes.reduce(Int.max) { min($0, $1.outputChannels) }, splitsDepth: true)
    let span = tile.span(
      shapes.map { ($0.taps * $0.inputChannels, $0.outputChannels, batch * $0.time) },
      groups: 2 * ProductTile.wantedGroups)
    let list = shapes.map {
      "\($0.time)x\($0.inputChannels)x\($0.outputChannels)x\($0.taps)x\($0.dilation)"
        + "x\($0.leftPadding)"
    }.sorted()
    return "conv1d_backward_weights \(text(tile)) span=\(span) of=\(list.joined(separator: ","))"
  }

  private static func lines(
    of operation: Compute.Operation, among operations: [Compute.Operation]
  ) -> [String] {
    switch operation {
    case .conv1DForward(let op):
      let tile = TensorCoreTile.best(
        rows: batch * op.shape.time, columns: op.shape.outputChannels)
      return [
        text("conv1d_forward", op.shape, tile)
          + (isNormalized(op.output, in: operations) ? " STATISTICS=1" : "")
      ]
    case .conv1DBackwardInput(let op):
      let tile = TensorCoreTile.best(
        rows: batch * op.shape.time, columns: op.shape.inputChannels)
      return [text("conv1d_backward_input", op.shape, tile)]
    case .attentionBackward(let op): return lines(of: op.shape)
    default: return []
    }
  }

  private static func lines(of shape: AttentionShape) -> [String] {
    let (rows, columns) = (shape.channels, shape.heads * shape.channels)
    let tile = TensorCoreTile.best(rows: rows, columns: columns, splitsDepth: true)
    let span = tile.span(rows: rows, columns: columns, depth: batch * shape.time)
    return ["rows", "mean", "input_backward"].map {
      "attention_short_\($0) TIME=\(shape.time) CHANNELS=\(shape.channels) HEADS=\(shape.heads)"
        + " rate=\(shape.dropoutRate)"
    } + [
      "matrix_columns_product ROWS=\(rows) COLUMNS=\(columns) TIME=\(shape.time) "
        + "\(text(tile)) span=\(span)"
    ]
  }

  private static func isNormalized(_ tensor: TensorID, in operations: [Compute.Operation]) -> Bool {
    operations.contains {
      if case .batchNormForward(let op) = $0 { op.input == tensor } else { false }
    }
  }

  private static func text(_ kernel: String, _ shape: Conv1DShape, _ tile: TensorCoreTile) -> String
  {
    "\(kernel) TIME=\(shape.time) INPUTS=\(shape.inputChannels) OUTPUTS=\(shape.outputChannels) "
      + "TAPS=\(shape.taps) DILATION=\(shape.dilation) LEFT=\(shape.leftPadding) \(text(tile))"
  }

  private static func text(_ tile: TensorCoreTile) -> String {
    "TILE_ROWS=\(tile.rows) TILE_COLUMNS=\(tile.columns) WARPS_DOWN=\(tile.warpsDown) "
      + "WARPS_ACROSS=\(tile.warpsAcross)"
  }
}
