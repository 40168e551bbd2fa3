; Made by triton_matmul.py with Triton 3.9.0: 16384 bytes of shared memory.
; ModuleID = 'LLVMDialectModule'
source_filename = "LLVMDialectModule"
target datalayout = "e-p3:32:32-p4:32:32-p5:32:32-p6:32:32-p7:32:32-p101:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"

@global_smem = external addrspace(3) global [0 x i8], align 16

; Function Attrs: nounwind
define ptx_kernel void @matmul(ptr addrspace(1) %0, ptr addrspace(1) %1, ptr addrspace(1) %2, i32 %3, i32 %4, ptr addrspace(1) nofree readnone captures(none) %5, ptr addrspace(1) nofree readnone captures(none) %6) local_unnamed_addr #0 {
  %8 = tail call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %9 = shl i32 %8, 5
  %10 = tail call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %11 = lshr i32 %10, 3
  %12 = and i32 %11, 15
  %13 = or disjoint i32 %12, 16
  %14 = or disjoint i32 %12, %9
  %15 = or disjoint i32 %13, %9
  %16 = icmp slt i32 %14, %3
  %17 = icmp slt i32 %15, %3
  %18 = mul i32 %4, %14
  %19 = mul i32 %4, %15
  %20 = sext i32 %18 to i64
  %21 = getelementptr [4 x i8], ptr addrspace(1) %0, i64 %20
  %22 = sext i32 %19 to i64
  %23 = getelementptr [4 x i8], ptr addrspace(1) %0, i64 %22
  %24 = and i32 %10, 7
  %25 = shl nuw nsw i32 %24, 2
  %26 = zext nneg i32 %25 to i64
  %27 = getelementptr [4 x i8], ptr addrspace(1) %21, i64 %26
  %28 = getelementptr [4 x i8], ptr addrspace(1) %23, i64 %26
  %29 = mul i32 %4, %12
  %30 = mul i32 %4, %13
  %31 = sext i32 %29 to i64
  %32 = getelementptr [4 x i8], ptr addrspace(1) %1, i64 %31
  %33 = sext i32 %30 to i64
  %34 = getelementptr [4 x i8], ptr addrspace(1) %1, i64 %33
  %35 = getelementptr [4 x i8], ptr addrspace(1) %32, i64 %26
  %36 = getelementptr [4 x i8], ptr addrspace(1) %34, i64 %26
  %37 = sdiv i32 %4, 32
  %38 = icmp sgt i32 %4, 31
  %39 = and i1 %16, %38
  %40 = and i1 %17, %38
  %41 = shl nuw nsw i32 %10, 4
  %42 = and i32 %41, 2032
  %43 = shl nuw nsw i32 %10, 1
  %44 = and i32 %43, 112
  %45 = xor i32 %42, %44
  %46 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %45
  %47 = select i1 %39, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %46, ptr addrspace(1) %27, i32 %47) #2
  %48 = or disjoint i32 %45, 2048
  %49 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %48
  %50 = select i1 %40, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %49, ptr addrspace(1) %28, i32 %50) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %51 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), i32 %45
  %52 = select i1 %38, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %51, ptr addrspace(1) %35, i32 %52) #2
  %53 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), i32 %48
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %53, ptr addrspace(1) %36, i32 %52) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %54 = icmp sgt i32 %4, 63
  %55 = getelementptr i8, ptr addrspace(1) %27, i64 128
  %56 = getelementptr i8, ptr addrspace(1) %28, i64 128
  %57 = getelementptr i8, ptr addrspace(1) %35, i64 128
  %58 = getelementptr i8, ptr addrspace(1) %36, i64 128
  %59 = and i1 %16, %54
  %60 = and i1 %17, %54
  %61 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), i32 %45
  %62 = select i1 %59, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %61, ptr addrspace(1) %55, i32 %62) #2
  %63 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), i32 %48
  %64 = select i1 %60, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %63, ptr addrspace(1) %56, i32 %64) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %65 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 12288), i32 %45
  %66 = select i1 %54, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %65, ptr addrspace(1) %57, i32 %66) #2
  %67 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 12288), i32 %48
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %67, ptr addrspace(1) %58, i32 %66) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %68 = shl nuw nsw i32 %10, 7
  %69 = and i32 %68, 1920
  %70 = shl nuw nsw i32 %24, 4
  %71 = and i32 %10, 16
  %72 = shl nuw nsw i32 %10, 5
  %73 = and i32 %72, 2048
  %74 = or disjoint i32 %69, %73
  %75 = xor i32 %70, %71
  %76 = or disjoint i32 %74, %75
  %77 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %76
  %78 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %77)
  %79 = and i32 %68, 2944
  %80 = and i32 %10, 8
  %81 = shl nuw nsw i32 %80, 1
  %82 = and i32 %10, 32
  %83 = shl nuw nsw i32 %82, 5
  %84 = or disjoint i32 %79, %83
  %85 = xor i32 %70, %81
  %86 = or disjoint i32 %84, %85
  %87 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), i32 %86
  %88 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %87)
  br i1 %38, label %.lr.ph, label %._crit_edge

.lr.ph:                                           ; preds = %7
  %89 = add nsw i32 %37, -2
  %90 = xor i32 %76, 32
  %91 = xor i32 %86, 32
  %92 = xor i32 %76, 64
  %93 = xor i32 %86, 64
  %94 = xor i32 %76, 96
  %95 = xor i32 %86, 96
  br label %96

96:                                               ; preds = %.lr.ph, %96
  %.pn = phi { i32, i32, i32, i32 } [ %88, %.lr.ph ], [ %216, %96 ]
  %.pn81 = phi { i32, i32, i32, i32 } [ %78, %.lr.ph ], [ %214, %96 ]
  %97 = phi ptr addrspace(3) [ getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), %.lr.ph ], [ %212, %96 ]
  %98 = phi ptr addrspace(3) [ @global_smem, %.lr.ph ], [ %211, %96 ]
  %99 = phi i32 [ -1, %.lr.ph ], [ %121, %96 ]
  %100 = phi i32 [ 1, %.lr.ph ], [ %194, %96 ]
  %.pn2473 = phi ptr addrspace(1) [ %58, %.lr.ph ], [ %191, %96 ]
  %.pn3272 = phi ptr addrspace(1) [ %57, %.lr.ph ], [ %190, %96 ]
  %.pn871 = phi ptr addrspace(1) [ %56, %.lr.ph ], [ %189, %96 ]
  %.pn1670 = phi ptr addrspace(1) [ %55, %.lr.ph ], [ %188, %96 ]
  %101 = phi float [ 0.000000e+00, %.lr.ph ], [ %218, %96 ]
  %102 = phi float [ 0.000000e+00, %.lr.ph ], [ %219, %96 ]
  %103 = phi float [ 0.000000e+00, %.lr.ph ], [ %220, %96 ]
  %104 = phi float [ 0.000000e+00, %.lr.ph ], [ %221, %96 ]
  %105 = phi float [ 0.000000e+00, %.lr.ph ], [ %223, %96 ]
  %106 = phi float [ 0.000000e+00, %.lr.ph ], [ %224, %96 ]
  %107 = phi float [ 0.000000e+00, %.lr.ph ], [ %225, %96 ]
  %108 = phi float [ 0.000000e+00, %.lr.ph ], [ %226, %96 ]
  %109 = phi i32 [ 0, %.lr.ph ], [ %227, %96 ]
  %110 = extractvalue { i32, i32, i32, i32 } %.pn81, 3
  %111 = extractvalue { i32, i32, i32, i32 } %.pn81, 2
  %112 = extractvalue { i32, i32, i32, i32 } %.pn81, 1
  %113 = extractvalue { i32, i32, i32, i32 } %.pn81, 0
  %114 = extractvalue { i32, i32, i32, i32 } %.pn, 3
  %115 = extractvalue { i32, i32, i32, i32 } %.pn, 2
  %116 = extractvalue { i32, i32, i32, i32 } %.pn, 1
  %117 = extractvalue { i32, i32, i32, i32 } %.pn, 0
  %118 = icmp slt i32 %109, %89
  %119 = add i32 %99, 1
  %120 = icmp sgt i32 %119, 1
  %121 = select i1 %120, i32 0, i32 %119
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %122 = getelementptr inbounds nuw i8, ptr addrspace(3) %98, i32 %90
  %123 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %122)
  %124 = extractvalue { i32, i32, i32, i32 } %123, 0
  %125 = extractvalue { i32, i32, i32, i32 } %123, 1
  %126 = extractvalue { i32, i32, i32, i32 } %123, 2
  %127 = extractvalue { i32, i32, i32, i32 } %123, 3
  %128 = getelementptr inbounds nuw i8, ptr addrspace(3) %97, i32 %91
  %129 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %128)
  %130 = extractvalue { i32, i32, i32, i32 } %129, 0
  %131 = extractvalue { i32, i32, i32, i32 } %129, 1
  %132 = extractvalue { i32, i32, i32, i32 } %129, 2
  %133 = extractvalue { i32, i32, i32, i32 } %129, 3
  %134 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %101, float %102, float %103, float %104, i32 %113, i32 %112, i32 %111, i32 %110, i32 %117, i32 %116) #2
  %135 = extractvalue { float, float, float, float } %134, 0
  %136 = extractvalue { float, float, float, float } %134, 1
  %137 = extractvalue { float, float, float, float } %134, 2
  %138 = extractvalue { float, float, float, float } %134, 3
  %139 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %105, float %106, float %107, float %108, i32 %113, i32 %112, i32 %111, i32 %110, i32 %115, i32 %114) #2
  %140 = extractvalue { float, float, float, float } %139, 0
  %141 = extractvalue { float, float, float, float } %139, 1
  %142 = extractvalue { float, float, float, float } %139, 2
  %143 = extractvalue { float, float, float, float } %139, 3
  %144 = getelementptr inbounds nuw i8, ptr addrspace(3) %98, i32 %92
  %145 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %144)
  %146 = extractvalue { i32, i32, i32, i32 } %145, 0
  %147 = extractvalue { i32, i32, i32, i32 } %145, 1
  %148 = extractvalue { i32, i32, i32, i32 } %145, 2
  %149 = extractvalue { i32, i32, i32, i32 } %145, 3
  %150 = getelementptr inbounds nuw i8, ptr addrspace(3) %97, i32 %93
  %151 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %150)
  %152 = extractvalue { i32, i32, i32, i32 } %151, 0
  %153 = extractvalue { i32, i32, i32, i32 } %151, 1
  %154 = extractvalue { i32, i32, i32, i32 } %151, 2
  %155 = extractvalue { i32, i32, i32, i32 } %151, 3
  %156 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %135, float %136, float %137, float %138, i32 %124, i32 %125, i32 %126, i32 %127, i32 %130, i32 %131) #2
  %157 = extractvalue { float, float, float, float } %156, 0
  %158 = extractvalue { float, float, float, float } %156, 1
  %159 = extractvalue { float, float, float, float } %156, 2
  %160 = extractvalue { float, float, float, float } %156, 3
  %161 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %140, float %141, float %142, float %143, i32 %124, i32 %125, i32 %126, i32 %127, i32 %132, i32 %133) #2
  %162 = extractvalue { float, float, float, float } %161, 0
  %163 = extractvalue { float, float, float, float } %161, 1
  %164 = extractvalue { float, float, float, float } %161, 2
  %165 = extractvalue { float, float, float, float } %161, 3
  %166 = getelementptr inbounds nuw i8, ptr addrspace(3) %98, i32 %94
  %167 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %166)
  %168 = extractvalue { i32, i32, i32, i32 } %167, 0
  %169 = extractvalue { i32, i32, i32, i32 } %167, 1
  %170 = extractvalue { i32, i32, i32, i32 } %167, 2
  %171 = extractvalue { i32, i32, i32, i32 } %167, 3
  %172 = getelementptr inbounds nuw i8, ptr addrspace(3) %97, i32 %95
  %173 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %172)
  %174 = extractvalue { i32, i32, i32, i32 } %173, 0
  %175 = extractvalue { i32, i32, i32, i32 } %173, 1
  %176 = extractvalue { i32, i32, i32, i32 } %173, 2
  %177 = extractvalue { i32, i32, i32, i32 } %173, 3
  %178 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %157, float %158, float %159, float %160, i32 %146, i32 %147, i32 %148, i32 %149, i32 %152, i32 %153) #2
  %179 = extractvalue { float, float, float, float } %178, 0
  %180 = extractvalue { float, float, float, float } %178, 1
  %181 = extractvalue { float, float, float, float } %178, 2
  %182 = extractvalue { float, float, float, float } %178, 3
  %183 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %162, float %163, float %164, float %165, i32 %146, i32 %147, i32 %148, i32 %149, i32 %154, i32 %155) #2
  %184 = extractvalue { float, float, float, float } %183, 0
  %185 = extractvalue { float, float, float, float } %183, 1
  %186 = extractvalue { float, float, float, float } %183, 2
  %187 = extractvalue { float, float, float, float } %183, 3
  %188 = getelementptr i8, ptr addrspace(1) %.pn1670, i64 128
  %189 = getelementptr i8, ptr addrspace(1) %.pn871, i64 128
  %190 = getelementptr i8, ptr addrspace(1) %.pn3272, i64 128
  %191 = getelementptr i8, ptr addrspace(1) %.pn2473, i64 128
  %192 = add i32 %100, 1
  %193 = icmp sgt i32 %192, 1
  %194 = select i1 %193, i32 0, i32 %192
  %195 = shl i32 %194, 10
  %196 = getelementptr [4 x i8], ptr addrspace(3) @global_smem, i32 %195
  %197 = and i1 %16, %118
  %198 = and i1 %17, %118
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %199 = getelementptr inbounds nuw i8, ptr addrspace(3) %196, i32 %45
  %200 = select i1 %197, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %199, ptr addrspace(1) %188, i32 %200) #2
  %201 = getelementptr inbounds nuw i8, ptr addrspace(3) %196, i32 %48
  %202 = select i1 %198, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %201, ptr addrspace(1) %189, i32 %202) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %203 = getelementptr [4 x i8], ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), i32 %195
  %204 = getelementptr inbounds nuw i8, ptr addrspace(3) %203, i32 %45
  %205 = select i1 %118, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %204, ptr addrspace(1) %190, i32 %205) #2
  %206 = getelementptr inbounds nuw i8, ptr addrspace(3) %203, i32 %48
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) nonnull %206, ptr addrspace(1) %191, i32 %205) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %207 = add i32 %121, 1
  %208 = icmp sgt i32 %207, 1
  %209 = shl i32 %207, 10
  %210 = select i1 %208, i32 0, i32 %209
  %211 = getelementptr [4 x i8], ptr addrspace(3) @global_smem, i32 %210
  %212 = getelementptr [4 x i8], ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 8192), i32 %210
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %213 = getelementptr inbounds nuw i8, ptr addrspace(3) %211, i32 %76
  %214 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %213)
  %215 = getelementptr inbounds nuw i8, ptr addrspace(3) %212, i32 %86
  %216 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %215)
  %217 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %179, float %180, float %181, float %182, i32 %168, i32 %169, i32 %170, i32 %171, i32 %174, i32 %175) #2
  %218 = extractvalue { float, float, float, float } %217, 0
  %219 = extractvalue { float, float, float, float } %217, 1
  %220 = extractvalue { float, float, float, float } %217, 2
  %221 = extractvalue { float, float, float, float } %217, 3
  %222 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %184, float %185, float %186, float %187, i32 %168, i32 %169, i32 %170, i32 %171, i32 %176, i32 %177) #2
  %223 = extractvalue { float, float, float, float } %222, 0
  %224 = extractvalue { float, float, float, float } %222, 1
  %225 = extractvalue { float, float, float, float } %222, 2
  %226 = extractvalue { float, float, float, float } %222, 3
  %227 = add nuw nsw i32 %109, 1
  %exitcond.not = icmp eq i32 %227, %37
  br i1 %exitcond.not, label %._crit_edge, label %96

._crit_edge:                                      ; preds = %96, %7
  %228 = phi float [ 0.000000e+00, %7 ], [ %218, %96 ]
  %229 = phi float [ 0.000000e+00, %7 ], [ %219, %96 ]
  %230 = phi float [ 0.000000e+00, %7 ], [ %220, %96 ]
  %231 = phi float [ 0.000000e+00, %7 ], [ %221, %96 ]
  %232 = phi float [ 0.000000e+00, %7 ], [ %223, %96 ]
  %233 = phi float [ 0.000000e+00, %7 ], [ %224, %96 ]
  %234 = phi float [ 0.000000e+00, %7 ], [ %225, %96 ]
  %235 = phi float [ 0.000000e+00, %7 ], [ %226, %96 ]
  tail call void @llvm.nvvm.cp.async.wait.group(i32 0)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %236 = shl i32 %14, 5
  %237 = shl i32 %15, 5
  %238 = sext i32 %236 to i64
  %239 = getelementptr [4 x i8], ptr addrspace(1) %2, i64 %238
  %240 = sext i32 %237 to i64
  %241 = getelementptr [4 x i8], ptr addrspace(1) %2, i64 %240
  %242 = getelementptr [4 x i8], ptr addrspace(1) %239, i64 %26
  %243 = getelementptr [4 x i8], ptr addrspace(1) %241, i64 %26
  %244 = shl nuw nsw i32 %10, 3
  %245 = and i32 %244, 640
  %246 = and i32 %10, 1
  %247 = icmp eq i32 %246, 0
  %248 = select i1 %247, i32 0, i32 2056
  %249 = and i32 %41, 32
  %250 = shl nuw nsw i32 %10, 2
  %251 = and i32 %250, 16
  %252 = icmp eq i32 %80, 0
  %253 = select i1 %252, i32 0, i32 1088
  %254 = shl nuw nsw i32 %82, 1
  %255 = or disjoint i32 %253, %245
  %256 = xor i32 %255, %254
  %257 = or disjoint i32 %251, %249
  %258 = or disjoint i32 %257, %248
  %259 = or disjoint i32 %258, %256
  %260 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %259
  %261 = insertelement <2 x float> poison, float %228, i64 0
  %262 = insertelement <2 x float> %261, float %229, i64 1
  store <2 x float> %262, ptr addrspace(3) %260, align 8
  %263 = getelementptr inbounds nuw i8, ptr addrspace(3) %260, i32 256
  %264 = insertelement <2 x float> poison, float %230, i64 0
  %265 = insertelement <2 x float> %264, float %231, i64 1
  store <2 x float> %265, ptr addrspace(3) %263, align 8
  %266 = xor i32 %259, 8
  %267 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %266
  %268 = insertelement <2 x float> poison, float %232, i64 0
  %269 = insertelement <2 x float> %268, float %233, i64 1
  store <2 x float> %269, ptr addrspace(3) %267, align 8
  %270 = getelementptr inbounds nuw i8, ptr addrspace(3) %267, i32 256
  %271 = insertelement <2 x float> poison, float %234, i64 0
  %272 = insertelement <2 x float> %271, float %235, i64 1
  store <2 x float> %272, ptr addrspace(3) %270, align 8
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %273 = and i32 %72, 96
  %274 = and i32 %250, 384
  %275 = and i32 %43, 24
  %276 = icmp eq i32 %71, 0
  %277 = select i1 %276, i32 0, i32 1088
  %278 = or disjoint i32 %273, %274
  %279 = or disjoint i32 %277, %275
  %280 = xor i32 %279, %278
  %281 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %280
  %282 = getelementptr inbounds nuw i8, ptr addrspace(3) %281, i32 512
  %283 = load <2 x i32>, ptr addrspace(3) %282, align 8
  %284 = xor i32 %280, 2056
  %285 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %284
  %286 = getelementptr inbounds nuw i8, ptr addrspace(3) %285, i32 512
  %287 = load <2 x i32>, ptr addrspace(3) %286, align 8
  %.extract = load i32, ptr addrspace(3) %281, align 8
  %288 = getelementptr inbounds nuw i8, ptr addrspace(3) %281, i32 4
  %.extract56 = load i32, ptr addrspace(3) %288, align 4
  %.extract57 = load i32, ptr addrspace(3) %285, align 8
  %289 = getelementptr inbounds nuw i8, ptr addrspace(3) %285, i32 4
  %.extract58 = load i32, ptr addrspace(3) %289, align 4
  tail call void asm sideeffect "@$5 st.global.v4.b32 [ $4 + 0 ], { $0, $1, $2, $3 };", "r,r,r,r,l,b"(i32 %.extract, i32 %.extract56, i32 %.extract57, i32 %.extract58, ptr addrspace(1) %242, i1 %16) #2
  %.extract59 = extractelement <2 x i32> %283, i64 0
  %.extract60 = extractelement <2 x i32> %283, i64 1
  %.extract61 = extractelement <2 x i32> %287, i64 0
  %.extract62 = extractelement <2 x i32> %287, i64 1
  tail call void asm sideeffect "@$5 st.global.v4.b32 [ $4 + 0 ], { $0, $1, $2, $3 };", "r,r,r,r,l,b"(i32 %.extract59, i32 %.extract60, i32 %.extract61, i32 %.extract62, ptr addrspace(1) %243, i1 %17) #2
  ret void
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare noundef range(i32 0, 2147483647) i32 @llvm.nvvm.read.ptx.sreg.ctaid.x() #1

; Function Attrs: mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare noundef range(i32 0, 1024) i32 @llvm.nvvm.read.ptx.sreg.tid.x() #1

; Function Attrs: nounwind
declare void @llvm.nvvm.cp.async.commit.group() #2

; Function Attrs: nounwind
declare void @llvm.nvvm.cp.async.wait.group(i32 immarg) #2

; Function Attrs: convergent nocallback nounwind
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32) #3

; Function Attrs: convergent nocallback nofree nounwind memory(argmem: read)
declare { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) readonly captures(none)) #4

attributes #0 = { nounwind "nvvm.reqntid"="128" }
attributes #1 = { mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none) }
attributes #2 = { nounwind }
attributes #3 = { convergent nocallback nounwind }
attributes #4 = { convergent nocallback nofree nounwind memory(argmem: read) }
