import CCLBlast
import COpenCL
import Compute

extension Lowering {
  /// A product per sample and head: by CLBlast where the device's options say so, a call a head, since
  /// the matrices of one head lie at even distances.
  func headProduct(
    _ product: MatrixProduct, regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    guard device.options.usesCLBlast, product.isPerSample else {
      return try self.product(product, regions: regions)
    }
    return try (0..<product.heads).map { (head) throws(DeviceError) in
      guard let a = CLBlastProduct.Place(product.a.of(head)),
        let b = CLBlastProduct.Place(product.b.of(head)),
        let c = CLBlastProduct.Place(product.c.of(head))
      else {
        throw .misused(device: device.name, what: "a product of what is not a matrix")
      }
      let device = device.name
      return .library(
        LibraryCall(cost: product.cost(ofHeads: 1)) { (queue, live, event) throws(DeviceError) in
          var queue: cl_command_queue? = queue
          let status = CLBlastSgemmStridedBatched(
            CLBlastLayoutRowMajor,
            product.form == .leftTurned ? CLBlastTransposeYes : CLBlastTransposeNo,
            product.form == .rightTurned ? CLBlastTransposeYes : CLBlastTransposeNo,
            product.rows.value(live: live), product.columns, product.depth.value(live: live),
            product.scale, a.buffer(), a.offset, a.stride, product.a.sampleStride, b.buffer(),
            b.offset, b.stride, product.b.sampleStride, 0, c.buffer(), c.offset, c.stride,
            product.c.sampleStride, live, &queue, event)
          try check(status.rawValue, "CLBlastSgemmStridedBatched", on: device)
        })
    }
  }
}

extension Matrix {
  fileprivate func of(_ head: Int) -> Matrix { advanced(by: head * headStride) }
}
