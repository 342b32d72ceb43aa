import Compute

/// A layer that takes windows over time, size and stride equal, without padding:
/// `[T, C]` → `[⌊T/size⌋, C]`.
public protocol PoolingLayer: NetworkLayer {
  var size: Int { get }
}

extension PoolingLayer {
  public func fault() -> String? {
    faulty(sizes: [size]) ?? (size > 255 ? "a pool is at most 255 wide, found \(size)" : nil)
  }

  public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
    let (time, channels) = try sequence(inputs)
    guard time >= size else { throw LayerShapeError(expected: "at least \(size) time steps") }
    return [time / size, channels]
  }

  public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

  public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
    [
      "pool_size": [.integer(size)], "strides": [.integer(size)], "padding": "valid",
      "data_format": "channels_last",
    ]
  }

  func shape(_ build: PlanBuilder) -> PoolShape {
    let input = build.inputSequence
    return PoolShape(time: input.time, channels: input.channels, size: size)
  }
}
