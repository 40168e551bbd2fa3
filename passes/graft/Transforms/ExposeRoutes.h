//===- ExposeRoutes.h - Routes that the host sees as they run -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_EXPOSEROUTES_H
#define GRAFT_TRANSFORMS_EXPOSEROUTES_H

#include "graft/Modular/Modular.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace graft {

/// On the module: what there is to know of each router that is exposed, by number. A dictionary
/// each: `name`, `slots`, `weighs`, the type of `weights`, and of its modules, in order, `modules`
/// and `bytes` of parameters; `same_modules_as`, the first router with the very same modules, where
/// an earlier one has them; `tokens_of`, the router whose weights these are token by token; and
/// `within`, the router and the number of its module within which this one is asked, if it is.
inline constexpr llvm::StringLiteral kRoutersAttr = "modular.routers";

/// On a router: argument 0 has, in all dimensions but the first and the last, the tokens of a row,
/// each with its own weights, whose mean the body yields.
inline constexpr llvm::StringLiteral kTokenWeightsAttr = "modular.token_weights";

/// On the module: the names of the routers that are not exposed, since they are asked in a loop or
/// a branch of the backbone, perhaps several times.
inline constexpr llvm::StringLiteral kHiddenRoutersAttr = "modular.hidden_routers";

/// Puts `modular.expose` on the routes of a backbone, also on those within modules, while their
/// routers are inlined.
class RouteExposer {
public:
  explicit RouteExposer(mlir::ModuleOp module) : module(module) {}

  /// Begins the inlining of a router's body in the place of `route`, where `builder` stands.
  void begin(mlir::OpBuilder &builder, modular::RouteOp route, modular::RouterOpInterface router,
             mlir::IRMapping &mapping);
  /// `op`, of the router's body, is inlined.
  void inlined(mlir::OpBuilder &builder, mlir::Operation *op, mlir::IRMapping &mapping);
  /// What the body yields, once all of it is inlined.
  std::pair<mlir::Value, mlir::Value> end(mlir::OpBuilder &builder, mlir::Value chosen,
                                          mlir::Value weights);
  /// `route` is the value that stands for the route from now on.
  void setRoute(mlir::Value route);
  /// `function` is what an apply of `route` takes as module `index`.
  void addModule(mlir::Value route, unsigned index, mlir::FunctionOpInterface function);
  /// Writes down what there is to know.
  void record();

private:
  struct Router {
    std::string name;
    int64_t slots;
    bool weighs; ///< what is chosen decides, in the body, what it weighs
    mlir::Type weights;
    mlir::ArrayAttr modules;
    llvm::SmallVector<llvm::SetVector<mlir::Attribute>> parameters; ///< by module
    int64_t tokensOf = -1; ///< the router whose weights it shows, token by token
    int64_t within = -1;   ///< the router that chooses the module that asks it
    unsigned module = 0;   ///< which of its modules that is
  };
  std::string freshName(llvm::StringRef name) const;
  mlir::Value expose(mlir::OpBuilder &builder, mlir::Value chosen);
  void showTokens(mlir::OpBuilder &builder);
  bool haveSameModules(const Router &first, const Router &second);
  void collectParameters(mlir::FunctionOpInterface function,
                         llvm::SetVector<mlir::Attribute> &parameters);

  mlir::ModuleOp module;
  mlir::SymbolTableCollection symbols;
  std::vector<Router> routers;
  llvm::SetVector<mlir::Attribute> hidden;
  llvm::DenseMap<mlir::Value, unsigned> numbers; ///< by route
  // The route that is being inlined.
  modular::RouteOp current; ///< null if it stays hidden
  unsigned number = 0;      ///< of its router
  mlir::Value weighed; ///< of its router's body, what is chosen as the weights are of it, or null
  mlir::Value tokens;  ///< the weights of the rows' tokens, or null
};

} // namespace graft

#endif // GRAFT_TRANSFORMS_EXPOSEROUTES_H
