import CVectorLoops
import Compute

extension Lowering {
  func elementBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    let threads = threads
    switch operation {
    case .reluForward(let count, let input, let output):
      let (x, y) = (try floats(input), try floats(output))
      return { context in vl_relu_forward(threads, y, x, context.live * count) }
    case .reluBackward(let count, let output, let outputGradient, let inputGradient):
      let (y, dy, dx) = (try floats(output), try floats(outputGradient), try floats(inputGradient))
      return { context in vl_relu_backward(threads, dx, y, dy, context.live * count) }
    case .sigmoidForward(let count, let input, let output):
      let (x, y) = (try floats(input), try floats(output))
      return { context in vl_sigmoid_forward(threads, y, x, context.live * count) }
    case .sigmoidBackward(let count, let output, let outputGradient, let inputGradient):
      let (y, dy, dx) = (try floats(output), try floats(outputGradient), try floats(inputGradient))
      return { context in vl_sigmoid_backward(threads, dx, y, dy, context.live * count) }
    case .add(let count, let inputs, let output):
      return try add(count, inputs, output)
    case .concatenateForward(let time, let channels, let inputs, let output):
      let y = try floats(output)
      let width = channels.reduce(0, +)
      return try concatenation(time, channels, inputs, width) { (x, offset, channels, rows) in
        vl_copy_rows(threads, y + offset, width, x, channels, channels, rows)
      }
    case .concatenateBackward(let time, let channels, let outputGradient, let inputGradients):
      let dy = try floats(outputGradient)
      let width = channels.reduce(0, +)
      return try concatenation(time, channels, inputGradients, width) {
        (dx, offset, channels, rows) in
        vl_copy_rows(threads, dx, channels, dy + offset, width, channels, rows)
      }
    default:
      throw misplaced(operation)
    }
  }

  private func add(
    _ count: Int, _ inputs: [TensorID], _ output: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let y = try floats(output)
    var terms: [Floats] = []
    for input in inputs { terms.append(try floats(input)) }
    return { context in
      let n = context.live * count
      vl_add(threads, y, terms[0], terms[terms.count > 1 ? 1 : 0], n)
      for term in terms.dropFirst(2) { vl_add_to(threads, y, term, n) }
    }
  }

  private func concatenation(
    _ time: Int, _ channels: [Int], _ parts: [TensorID], _ width: Int,
    copy: @escaping (Floats, Int, Int, Int) -> Void
  ) throws(DeviceError) -> LaunchBody {
    var places: [(part: Floats, offset: Int, channels: Int)] = []
    var offset = 0
    for (part, count) in zip(parts, channels) {
      places.append((try floats(part), offset, count))
      offset += count
    }
    return { context in
      for place in places {
        copy(place.part, place.offset, place.channels, context.live * time)
      }
    }
  }

  func sequenceBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    let threads = threads
    switch operation {
    case .scaleChannelsForward(let shape, let input, let scale, let output):
      let (x, s, y) = (try floats(input), try floats(scale), try floats(output))
      return { context in
        vl_scale_channels_forward(threads, y, x, s, context.live, shape.time, shape.channels)
      }
    case .scaleChannelsBackward(
      let shape, let input, let scale, let outputGradient, let inputGradient, let scaleGradient):
      let (x, s, dy) = (try floats(input), try floats(scale), try floats(outputGradient))
      let (dx, ds) = (try floats(inputGradient), try floats(scaleGradient))
      return { context in
        vl_scale_channels_backward(
          threads, dx, ds, x, s, dy, context.live, shape.time, shape.channels)
      }
    case .maxPoolForward(let shape, let input, let output, let argmax):
      let (x, y, place) = (try floats(input), try floats(output), try bytes(argmax))
      return { context in
        vl_max_pool_forward(
          threads, y, place, x, context.live, shape.time, shape.channels, shape.size)
      }
    case .maxPoolBackward(let shape, let argmax, let outputGradient, let inputGradient):
      let (place, dy, dx) = (
        try bytes(argmax), try floats(outputGradient), try floats(inputGradient)
      )
      return { context in
        vl_max_pool_backward(
          threads, dx, place, dy, context.live, shape.time, shape.channels, shape.size)
      }
    case .meanOverTimeForward(let shape, let input, let output):
      let (x, y) = (try floats(input), try floats(output))
      return { context in
        vl_mean_over_time_forward(threads, y, x, context.live, shape.time, shape.channels)
      }
    case .meanOverTimeBackward(let shape, let outputGradient, let inputGradient):
      let (dy, dx) = (try floats(outputGradient), try floats(inputGradient))
      return { context in
        vl_mean_over_time_backward(threads, dx, dy, context.live, shape.time, shape.channels)
      }
    default:
      throw misplaced(operation)
    }
  }
}
