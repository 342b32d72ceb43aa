import CCLBlast
import COpenCL
import Compute

/// One call of CLBlast's SGEMM with everything bound but the live size. All matrices are row-major.
struct CLBlastProduct {
  /// In place of a kernel file, for the limits of groups.
  static let file = "CLBlast"

  let product: MatrixProduct
  let a: Place
  let b: Place
  let c: Place
  /// 1 where the bias is already in c.
  let beta: Float
  /// Holds the call's temporary.
  let temporary: BufferSlot
  let device: String
  let limits: GroupLimits

  /// A matrix whose buffer may be exchanged between runs.
  struct Place {
    let buffer: () -> cl_mem?
    let offset: Int
    let stride: Int

    init?(_ matrix: Matrix) {
      stride = matrix.stride
      switch matrix.memory {
      case .tensor(let tensor, let start, false): (buffer, offset) = ({ tensor.handle }, start)
      case .region(let slot, let start, false): (buffer, offset) = ({ slot.buffer?.handle }, start)
      default: return nil
      }
    }
  }

  private var aTurned: CLBlastTranspose {
    product.form == .leftTurned ? CLBlastTransposeYes : CLBlastTransposeNo
  }
  private var bTurned: CLBlastTranspose {
    product.form == .rightTurned ? CLBlastTransposeYes : CLBlastTransposeNo
  }

  /// Bytes of the temporary that a run over so many samples wants; none for small products.
  func temporaryByteCount(
    live: Int, queue: cl_command_queue
  ) throws(DeviceError) -> Int {
    var (size, queue): (Int, cl_command_queue?) = (0, queue)
    let status = CLBlastSGemmTempBufferSize(
      CLBlastLayoutRowMajor, aTurned, bTurned, product.rows.value(live: live), product.columns,
      product.depth.value(live: live), a.offset, a.stride, b.offset, b.stride, c.offset, c.stride,
      &queue, &size)
    try check(status.rawValue, "CLBlastSGemmTempBufferSize", on: device)
    return size
  }

  /// Enqueues the product. CLBlast compiles at the first call of each kind and size.
  func enqueue(
    on queue: cl_command_queue, live: Int, event: UnsafeMutablePointer<cl_event?>?
  ) throws(DeviceError) {
    var queue: cl_command_queue? = queue
    let status = CLBlastSgemmWithTempBuffer(
      CLBlastLayoutRowMajor, aTurned, bTurned, product.rows.value(live: live), product.columns,
      product.depth.value(live: live), product.scale, a.buffer(), a.offset, a.stride, b.buffer(),
      b.offset, b.stride, beta, c.buffer(), c.offset, c.stride, &queue, event,
      temporary.buffer?.handle)
    // Where the device has no room for its groups, our kernels make the product: no device has room
    // for none.
    let tooLarge = [
      CLBlastInvalidLocalThreadsTotal, CLBlastInvalidLocalThreadsDim, CLBlastInvalidLocalMemUsage,
    ]
    if tooLarge.contains(status) { limits.note(0, of: Self.file) }
    try check(status.rawValue, "CLBlastSgemm", on: device)
  }
}

extension MatrixProduct {
  /// Of a product that a library makes of floats: each matrix is read or written once.
  func cost(ofHeads heads: Int) -> (_ live: Int) -> KernelCost {
    { live in
      let (rows, depth) = (rows.value(live: live), depth.value(live: live))
      let copies = heads * (isPerSample ? live : 1)
      let elements = rows * depth + depth * columns + rows * columns
      return KernelCost(
        bytes: Double(4 * elements * copies),
        productOperations: Double(2 * rows * columns * depth * copies))
    }
  }
}

extension Lowering {
  /// The product by CLBlast: the bias is laid into the result first, the column sums have a kernel
  /// of their own.
  func libraryProduct(
    _ product: MatrixProduct, regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    guard !product.isBatched, let a = CLBlastProduct.Place(product.a),
      let b = CLBlastProduct.Place(product.b), let c = CLBlastProduct.Place(product.c)
    else {
      throw .misused(device: device.name, what: "products a sample or head by CLBlast")
    }
    var commands: [Command] = []
    if let bias = product.bias {
      let local = groupSize(256, in: "dense")
      commands.append(
        try kernel(
          "dense", "fill_rows",
          [
            bias, product.c.memory, .int(product.c.stride), .int(product.columns),
            product.rows.argument,
          ], local: [local],
          groups: { [(product.rows.value(live: $0) * product.columns + local - 1) / local] }))
    }
    let call = CLBlastProduct(
      product: product, a: a, b: b, c: c, beta: product.bias == nil ? 0 : 1,
      temporary: scratch.library, device: device.name, limits: device.context.groupLimits)
    let queue = try queueForQuestions()
    for live in Set([program.capacity] + (options.liveBatches[program.id] ?? [])) {
      scratch.reserveForLibrary(
        bytes: try call.temporaryByteCount(live: live, queue: queue.queue))
    }
    commands.append(
      .library(
        LibraryCall(cost: product.cost(ofHeads: 1)) { (queue, live, event) throws(DeviceError) in
          try call.enqueue(on: queue, live: live, event: event)
        }))
    if let sums = product.columnSums {
      commands += try columnSums(
        of: product.b, rows: product.depth, columns: product.columns, into: sums,
        regions: regions)
    }
    return commands
  }
}
