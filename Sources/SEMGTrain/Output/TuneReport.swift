import ComputeOpenCL

/// What `tune` found: the text, and what `--json` prints.
struct TuneReport: Encodable {
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

  /// A tile that a kernel does not get, or a precision that no run gets.
  struct Rejected: Encodable {
    var tile, kernel, precision: String?
    let reason: String

    init(_ rejection: ProductTuning.Rejection) {
      (tile, kernel, reason) = (rejection.tile, rejection.kernel, rejection.reason)
    }

    init(_ arithmetic: OpenCLDevice.Arithmetic, reason: String) {
      precision = arithmetic.description
      self.reason = reason
    }

    var text: String {
      if let precision { return "\(precision) is not used: \(reason)" }
      return "\(tile ?? "") is not used for \(kernel ?? ""): \(reason)"
    }
  }

  struct Precision: Encodable {
    let precision: String
    /// A step of each of the models, together.
    let milliseconds: Double
  }

  let device: ParityDevice
  let batchSize: Int
  /// Nil where the tiles were left as they are.
  var products: [Product]?
  var rejected: [Rejected] = []
  /// Where the tiles are kept.
  var file: String?
  private(set) var precisions: [Precision] = []
  /// What `--precision auto` takes from now on; nil where nothing was timed.
  private(set) var auto: String?
  /// Where the precisions' times are kept.
  var precisionFile: String?

  init(device: ParityDevice, batchSize: Int) {
    self.device = device
    self.batchSize = batchSize
  }

  enum CodingKeys: String, CodingKey {
    case device, products, rejected, file, precisions, auto
    case batchSize = "batch_size"
    case precisionFile = "precision_file"
  }

  mutating func take(_ times: PrecisionTimes) {
    precisions = times.times.map {
      Precision(precision: $0.arithmetic.description, milliseconds: $0.milliseconds)
    }
    auto = times.best?.arithmetic.description
  }

  var text: String {
    var blocks: [String] = []
    if let products {
      var table = TextTable(header: ["product", "tile", "ms per step", "usual tile", "ms per step"])
      for product in products {
        table.append([
          product.product, product.tile, Figure.fixed(product.milliseconds, 3), product.usualTile,
          Figure.fixed(product.usualMilliseconds, 3),
        ])
      }
      let sums = products.reduce((0, 0)) { ($0.0 + $1.milliseconds, $0.1 + $1.usualMilliseconds) }
      blocks += [
        table.text(within: Console.outputColumns),
        "all products: \(Figure.fixed(sums.0, 3)) ms per step, "
          + "\(Figure.fixed(sums.1, 3)) with the usual tiles",
      ]
    }
    var table = TextTable(header: ["precision", "ms a training step"])
    for time in precisions {
      table.append([time.precision, Figure.fixed(time.milliseconds, 3)])
    }
    blocks.append(table.text(within: Console.outputColumns))
    if !rejected.isEmpty { blocks.append(rejected.map(\.text).joined(separator: "\n")) }
    if let auto { blocks.append("--precision auto takes \(auto) on this device") }
    let files = [file, precisionFile].compactMap { $0 }
    blocks.append(
      files.isEmpty
        ? "not kept: there is no home directory, or SEMG_OPENCL_CACHE=0 is set"
        : "kept in \(files.joined(separator: " and ")); later runs use it")
    return blocks.joined(separator: "\n\n")
  }
}
